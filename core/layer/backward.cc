// A layer run backward: through time tile by tile, then the weight gradients as products over all tokens, cut so that
// no sum depends on the number of threads.
#include <utility>
#include <vector>

#include "isa/dispatch.h"
#include "layer/batch.h"
#include "layer/pack.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

constexpr Index kSumTasks = 16;  // of the sums by token, per direction

// One weight gradient, cut by shape alone: into blocks of its rows, and into splits of the tokens whose partial sums
// are added in order. Neither depends on the number of threads.
template <class T>
struct OuterJob {
  Outer<T> args;
  Index tokens;
  Index block_rows, row_blocks, splits, split_tokens;
  T* partial;  // [splits, rows_m * columns + rows_m]; none where there is one split, whose sums are the result

  Index tasks() const { return row_blocks * splits; }
  Index partial_size() const { return args.rows_m * (args.columns + 1); }
  Index partial_sizes() const { return splits > 1 ? splits * partial_size() : 0; }
};

template <class T>
OuterJob<T> plan(const Outer<T>& args, Index tokens) {
  OuterJob<T> job{};
  job.args = args;
  job.tokens = tokens;
  const Index cache = (Index(96) << 10) / Index(sizeof(T));  // of a block of `out`, to stay in L2
  job.block_rows = std::max<Index>(6, std::min(args.rows_m, cache / std::max<Index>(1, args.columns) / 6 * 6));
  job.row_blocks = blocks(args.rows_m, job.block_rows);
  job.splits = std::max<Index>(1, std::min(blocks(16, job.row_blocks), tokens / 512));
  job.split_tokens = blocks(std::max<Index>(tokens, 1), job.splits);
  return job;
}

template <class T>
void run_outer(const OuterJob<T>& job, Index task, const Kernels<T>& k) {
  const Index split = task / job.row_blocks, m = task % job.row_blocks * job.block_rows;
  Outer<T> part = job.args;
  if (job.splits > 1) {
    part.out = job.partial + split * job.partial_size();
    if (part.column_sum) part.column_sum = part.out + job.args.rows_m * part.columns;
  }
  part.a += m;
  part.rows_m = std::min(job.block_rows, job.args.rows_m - m);
  part.out += m * part.columns;
  std::fill(part.out, part.out + part.rows_m * part.columns, T(0));
  if (part.column_sum) {
    part.column_sum += m;
    std::fill(part.column_sum, part.column_sum + part.rows_m, T(0));
  }
  const Index first = split * job.split_tokens, last = std::min(job.tokens, first + job.split_tokens);
  k.outer(part, first, last, scratch<T>(outer_scratch<T>(part.columns)));
}

template <class T>
void reduce_outer(const OuterJob<T>& job) {
  if (job.splits == 1) return;
  const Index entries = job.args.rows_m * job.args.columns;
  const auto sum = [&](T* out, Index offset, Index count) {
    const T* part = job.partial + offset;
    std::copy(part, part + count, out);
    for (Index split = 1; split < job.splits; ++split) {
      part += job.partial_size();
      for (Index i = 0; i < count; ++i) out[i] += part[i];
    }
  };
  sum(job.args.out, 0, entries);
  if (job.args.column_sum) sum(job.args.column_sum, entries, job.args.rows_m);
}

// Where each token finds the state before it, and which sequence it belongs to.
template <class T>
void find_states_before(const LayerBackward<T>& p, int d, const T* zero, const T** before, std::int32_t* sequence) {
  const Direction<T>& direction = p.in.direction[d];
  const Index stride = p.in.directions * p.in.H;
  for (Index b = 0; b < p.in.B; ++b) {
    const Index begin = p.in.offsets[b], end = p.in.offsets[b + 1];
    const T* const initial = direction.h0 ? direction.h0 + b * p.in.H : zero;
    for (Index n = begin; n < end; ++n) {
      const bool is_first = direction.reverse ? n == end - 1 : n == begin;
      const Index neighbour = direction.reverse ? n + 1 : n - 1;
      before[n] = is_first ? initial : p.h + neighbour * stride + d * p.in.H;
      sequence[n] = static_cast<std::int32_t>(b);
    }
  }
}

// Everything that the steps of one backward call share.
template <class T>
struct BackwardCall {
  const LayerBackward<T>& p;
  const LayerInput<T>& in;
  const Kernels<T>& k;
  Workspace& w;
  const CellTraits& traits;
  Index GH = traits.gates * in.H;
  Index shared = traits.shared * in.H;  // rows of w_hh whose gate gradients are those of the input, too
  Rows rows{};
  CellBackward<T> run[2]{};
  const T* dprojected[2]{};  // gradient of the rows that were projected

  // Walks the tiles back through time, which leaves the gate gradients of every token.
  void through_time(const Batch& batch) {
    for (int d = 0; d < in.directions; ++d) {
      const Direction<T>& direction = in.direction[d];
      T* const w_hh = w.w_hh[d].template get<T>(GH * padded<T>(in.H));
      pack_columns(direction.w_hh, GH, in.H, in.H, Index(1), w_hh);
      const Kept<T>& kept = p.kept[d];
      T* const dgates = p.overwrite && kept.gates ? kept.gates : w.dgates[d].template get<T>(in.N * GH);
      T* dmemo = nullptr;
      if (traits.one_apart()) dmemo = p.overwrite ? kept.memo : w.dmemo[d].template get<T>(in.N * in.H);
      CellBackward<T>& r = run[d];
      r.sequences = {batch.start, batch.length, batch.order, direction.reverse};
      r.H = in.H;
      r.w_hh = w_hh;
      r.h0 = direction.h0;
      r.c0 = direction.c0;
      r.mask = direction.mask;
      r.h = p.h + d * in.H;
      r.gates = kept.gates;
      r.memo = kept.memo;
      r.dh = p.dh + d * in.H;
      r.h_stride = in.directions * in.H;
      r.dhn = p.dhn[d];
      r.dcn = p.dcn[d];
      r.dgates = dgates;
      r.dmemo = dmemo;
      r.dh0 = p.gradients[d].h0;
      r.dc0 = p.gradients[d].c0;
      r.dh_steps = p.steps[d].h;
      r.dc_steps = p.steps[d].c;
      dprojected[d] = dgates;
    }
    walk<T>(walk_of(in, batch), Index(0), [&](Index d, Index first, Index last, const Units& units, T* memory) {
      k.cell[in.cell].backward(run[d], first, last, units, memory);
    });
  }

  // Adds up the gate gradients of each distinct token, so that what follows is done once per distinct token.
  void by_token() {
    if (!rows.row_of_token) return;
    const std::int32_t* const start = sort_tokens();
    SumByRow<T> sum[2]{};
    for (int d = 0; d < in.directions; ++d) {
      T* const out = w.projected[d].template get<T>(rows.count * GH);
      sum[d].a = run[d].dgates;
      sum[d].width = GH;
      sum[d].start = start;
      sum[d].token = w.token_by_row.template get<std::int32_t>(in.N);
      sum[d].out = out;
      dprojected[d] = out;
    }
    // Each task takes the rows whose tokens begin in its part of the sorted tokens.
    const auto first_row = [&](Index task) {
      const auto begin = static_cast<std::int32_t>(task * in.N / kSumTasks);
      return std::lower_bound(start, start + rows.count, begin) - start;
    };
    parallel(in.directions * kSumTasks, in.threads, [&](Index task) {
      const Index part = task / in.directions;
      k.sum_by_row(sum[task % in.directions], first_row(part), first_row(part + 1));
    });
  }

  // Sorts the tokens by their row, keeping their order within a row; returns where each row begins.
  const std::int32_t* sort_tokens() {
    std::int32_t* const start = w.row_start.get<std::int32_t>(rows.count + 2);
    std::int32_t* const token = w.token_by_row.get<std::int32_t>(in.N);
    std::fill(start, start + rows.count + 2, 0);
    for (Index n = 0; n < in.N; ++n) ++start[rows.row_of_token[n] + 2];
    for (Index u = 2; u < rows.count + 2; ++u) start[u] += start[u - 1];
    for (Index n = 0; n < in.N; ++n) token[start[rows.row_of_token[n] + 1]++] = static_cast<std::int32_t>(n);
    return start;
  }

  // The weight gradients as jobs: of w_hh over all tokens, of w_ih over the projected rows.
  std::vector<OuterJob<T>> plan_weights() {
    std::vector<OuterJob<T>> jobs;
    const T** const before = w.before.get<const T*>(2 * in.N);
    std::int32_t* const sequence = w.sequence.get<std::int32_t>(in.N);
    T* const zero = w.zero.get<T>(in.H);
    std::fill(zero, zero + in.H, T(0));
    const T** const x_row = rows.id_of_row ? w.table_row.get<const T*>(rows.count) : nullptr;
    for (Index u = 0; x_row && u < rows.count; ++u) x_row[u] = in.x + rows.id_of_row[u] * in.C;
    for (int d = 0; d < in.directions; ++d) {
      const T** const h_before = before + d * in.N;
      find_states_before(p, d, zero, h_before, sequence);
      jobs.push_back(plan(by_states(d, h_before, sequence), in.N));
      if (traits.one_apart()) jobs.push_back(plan(by_states_apart(d, h_before, sequence), in.N));
      jobs.push_back(plan(by_input(d, x_row), rows.count));
    }
    return jobs;
  }

  // The gradient of the rows of w_hh whose gates add what the state says to what the input says.
  Outer<T> by_states(int d, const T* const* h_before, const std::int32_t* sequence) const {
    Outer<T> outer{};
    outer.a = run[d].dgates;
    outer.a_stride = GH;
    outer.rows_m = shared;
    outer.b_row = h_before;
    outer.scale = in.direction[d].mask;
    outer.scale_row = sequence;
    outer.columns = in.H;
    outer.out = p.gradients[d].w_hh;
    return outer;
  }

  // That of the rows, and of the bias, of the gate that keeps its recurrent part apart.
  Outer<T> by_states_apart(int d, const T* const* h_before, const std::int32_t* sequence) const {
    Outer<T> outer = by_states(d, h_before, sequence);
    outer.a = run[d].dmemo;
    outer.a_stride = outer.rows_m = in.H;
    outer.out += shared * in.H;
    outer.column_sum = p.gradients[d].b_hh + shared;
    return outer;
  }

  // That of w_ih and its bias.
  Outer<T> by_input(int d, const T* const* x_row) const {
    Outer<T> outer{};
    outer.a = dprojected[d];
    outer.a_stride = outer.rows_m = GH;
    outer.b = in.x;
    outer.b_stride = outer.columns = in.C;
    outer.b_row = x_row;
    outer.out = p.gradients[d].w_ih;
    outer.column_sum = p.gradients[d].b_ih;
    return outer;
  }

  // Runs the jobs, and beside them the product that leads back to the input.
  void weights_and_input() {
    std::vector<OuterJob<T>> jobs = plan_weights();
    Index partial = 0, outer_tasks = 0;
    for (const OuterJob<T>& job : jobs) partial += job.partial_sizes();
    T* at = w.partial.template get<T>(partial);
    for (OuterJob<T>& job : jobs) {
      job.partial = at;
      at += job.partial_sizes();
      outer_tasks += job.tasks();
    }
    Linear<T> dinput[2]{};
    for (int d = 0; d < in.directions && p.dx; ++d) {
      T* const w_ih = w.w_ih[d].template get<T>(GH * padded<T>(in.C));
      pack_columns(in.direction[d].w_ih, GH, in.C, in.C, Index(1), w_ih);
      Linear<T>& back = dinput[d];
      back.x = dprojected[d];
      back.x_stride = back.K = GH;
      back.w = w_ih;
      back.columns = back.y_stride = in.C;
      back.y = p.dx;
      back.row_out = rows.id_of_row;
      back.accumulate = d > 0;
    }
    const Index linear_tasks = p.dx ? blocks(rows.count, kLinearRows) : 0;
    // Tasks of one number read the same tokens, so that they follow each other.
    std::vector<std::pair<const OuterJob<T>*, Index>> order;
    for (Index task = 0; static_cast<Index>(order.size()) < outer_tasks; ++task) {
      for (const OuterJob<T>& job : jobs) {
        if (task < job.tasks()) order.push_back({&job, task});
      }
    }
    parallel(outer_tasks + linear_tasks, in.threads, [&](Index task) {
      if (task < outer_tasks) return run_outer(*order[task].first, order[task].second, k);
      task -= outer_tasks;
      const Index first = task * kLinearRows, last = std::min(rows.count, first + kLinearRows);
      for (int d = 0; d < in.directions; ++d) k.linear(dinput[d], first, last);
    });
    parallel(static_cast<Index>(jobs.size()), in.threads, [&](Index job) { reduce_outer(jobs[job]); });
    for (int d = 0; d < in.directions; ++d) {
      const LayerGradients<T>& out = p.gradients[d];
      std::copy(out.b_ih, out.b_ih + shared, out.b_hh);
    }
  }
};

}  // namespace

template <class T>
Status layer_backward(LayerBackward<T>& p) try {
  BackwardCall<T> call{p, p.in, kernels<T>(), workspace(), kTraits[p.in.cell]};
  Index bad_token;
  const Status status = find_rows(p.in, call.rows, bad_token);
  if (status != Status::kOk) return status;
  call.through_time(arrange(p.in));
  call.by_token();
  call.weights_and_input();
  call.w.release();
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template Status layer_backward(LayerBackward<float>&);
template Status layer_backward(LayerBackward<double>&);

}  // namespace tidegate
