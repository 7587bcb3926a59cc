#include "layer.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace tidegate {
namespace {

// Memory that a thread keeps between calls, so that a warm call allocates nothing. It only grows.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  template <class T>
  T* get(Index count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + bytes / 8 + 4095) / 4096 * 4096;
      data_ = std::aligned_alloc(4096, size_);
      if (!data_) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

struct Workspace {
  Buffer w_ih[2], w_hh[2], bias[2];
  Buffer projected[2];  // forward: projected input; backward: sums of gate gradients by token
  Buffer dgates[2], dmemo[2], partial, zero;
  Buffer length, order, before, sequence;
  Buffer row_of_token, row_of_id, id_of_row, table_row;
};

Workspace& workspace() {
  static thread_local Workspace w;
  return w;
}

template <class T>
T* scratch(Index count) {
  static thread_local Buffer buffer;
  return buffer.get<T>(count);
}

Index blocks(Index n, Index size) { return (n + size - 1) / size; }

// --- packing -------------------------------------------------------------------------------------------------------

// to[k][w][lane] = from[w][lane * column_stride + k * row_stride], zero from lane `full` on.
template <class T>
void pack_group(const T* const* from, Index width, Index full, Index column_stride, Index row_stride, Index K, T* to) {
  for (Index k = 0; k < K; ++k) {
    for (Index w = 0; w < width; ++w, to += kPanel<T>) {
      const T* const row = from[w] + k * row_stride;
      for (Index lane = 0; lane < kPanel<T>; ++lane) to[lane] = lane < full ? row[lane * column_stride] : T(0);
    }
  }
}

// Packs the matrix whose entry (k, column) is w[k * row_stride + column * column_stride].
template <class T>
void pack_columns(const T* w, Index K, Index columns, Index row_stride, Index column_stride, T* to) {
  for (Index column = 0; column < columns;) {
    const Index width = group_width<T>(column, columns);
    const T* from[4];
    for (Index i = 0; i < width; ++i) from[i] = w + (column + i * kPanel<T>)*column_stride;
    pack_group(from, width, std::min(kPanel<T>, columns - column), column_stride, row_stride, K, to + column * K);
    column += width * kPanel<T>;
  }
}

// Packs w_hh [G*H, H] by unit: for each panel of units, the columns of all gates side by side.
template <class T>
void pack_units(const T* w_hh, Index G, Index H, T* to) {
  for (Index unit = 0; unit < H; unit += kPanel<T>) {
    const T* from[4];
    for (Index gate = 0; gate < G; ++gate) from[gate] = w_hh + (gate * H + unit) * H;
    pack_group(from, G, std::min(kPanel<T>, H - unit), H, Index(1), H, to + unit * G * H);
  }
}

// --- the parts of one call -----------------------------------------------------------------------------------------

struct Batch {
  const Index* start;
  const Index* length;
  const std::int32_t* order;
  Index tile_rows;  // sequences per task
  Index tiles;      // tasks per direction
};

template <class T>
Batch arrange(const LayerInput<T>& in) {
  Workspace& w = workspace();
  Index* const length = w.length.get<Index>(in.B);
  std::int32_t* const order = w.order.get<std::int32_t>(in.B);
  for (Index b = 0; b < in.B; ++b) length[b] = in.offsets[b + 1] - in.offsets[b];
  std::iota(order, order + in.B, 0);
  std::stable_sort(order, order + in.B, [&](std::int32_t a, std::int32_t b) { return length[a] > length[b]; });
  // Small enough that every thread gets some three tiles, large enough to use its registers.
  const Index wanted = blocks(in.B * in.directions, std::max(1, in.threads) * Index(3));
  const Index rows = std::clamp(blocks(wanted, 6) * 6, Index(6), kTileRows);
  return {in.offsets, length, order, rows, blocks(in.B, rows)};
}

// The rows that are projected: every token, or every distinct token once.
struct Rows {
  Index count;
  const std::int32_t* row_of_token;  // [N] or null
  const std::int32_t* id_of_row;     // [count] or null
};

template <class T, class Id>
Status distinct(const LayerInput<T>& in, const Id* ids, Rows& rows, Index& bad) {
  Workspace& w = workspace();
  std::int32_t* const row = w.row_of_token.get<std::int32_t>(in.N);
  std::int32_t* const row_of_id = w.row_of_id.get<std::int32_t>(in.V);
  std::int32_t* const id_of_row = w.id_of_row.get<std::int32_t>(std::min(in.N, in.V));
  std::fill(row_of_id, row_of_id + in.V, -1);
  std::int32_t count = 0;
  for (Index n = 0; n < in.N; ++n) {
    const Id id = ids[n];
    if (id < 0 || id >= in.V) {
      bad = n;
      return Status::kBadToken;
    }
    if (row_of_id[id] < 0) {
      row_of_id[id] = count;
      id_of_row[count++] = static_cast<std::int32_t>(id);
    }
    row[n] = row_of_id[id];
  }
  rows = {count, row, id_of_row};
  return Status::kOk;
}

template <class T>
Status find_rows(const LayerInput<T>& in, Rows& rows, Index& bad) {
  if (in.ids32) return distinct(in, in.ids32, rows, bad);
  if (in.ids64) return distinct(in, in.ids64, rows, bad);
  rows = {in.N, nullptr, nullptr};
  return Status::kOk;
}

constexpr Index kLinearRows = 96;  // rows per task of a linear kernel
constexpr Index kSumColumns = 32;  // columns per task of the sums by token

template <class T>
const T* add_biases(const LayerInput<T>& in, int d) {
  const Direction<T>& direction = in.direction[d];
  if (!direction.b_ih && !direction.b_hh) return nullptr;
  const Index columns = kGates[in.cell] * in.H;
  const Index shared = in.cell == kGru ? 2 * in.H : columns;  // the gru's candidate keeps its recurrent bias apart
  T* const bias = workspace().bias[d].template get<T>(columns);
  for (Index j = 0; j < columns; ++j) {
    const T recurrent = direction.b_hh && j < shared ? direction.b_hh[j] : T(0);
    bias[j] = (direction.b_ih ? direction.b_ih[j] : T(0)) + recurrent;
  }
  return bias;
}

// --- outer products over all tokens --------------------------------------------------------------------------------

// One weight gradient, cut by shape alone: into blocks of its rows, and into splits of the tokens whose partial sums
// are added in order. Neither depends on the number of threads.
template <class T>
struct OuterJob {
  Outer<T> args;
  Index tokens;
  Index block_rows, row_blocks, splits, split_tokens;
  T* partial;  // [splits, rows_m * columns + rows_m]

  Index tasks() const { return row_blocks * splits; }
  Index partial_size() const { return args.rows_m * (args.columns + 1); }
};

template <class T>
OuterJob<T> plan(const Outer<T>& args, Index tokens) {
  OuterJob<T> job{args, tokens, 0, 0, 0, 0, nullptr};
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
  T* const base = job.partial + split * job.partial_size();
  part.a += m;
  part.rows_m = std::min(job.block_rows, job.args.rows_m - m);
  part.out = base + m * part.columns;
  std::fill(part.out, part.out + part.rows_m * part.columns, T(0));
  if (part.column_sum) {
    part.column_sum = base + job.args.rows_m * part.columns + m;
    std::fill(part.column_sum, part.column_sum + part.rows_m, T(0));
  }
  const Index first = split * job.split_tokens, last = std::min(job.tokens, first + job.split_tokens);
  k.outer(part, first, last, scratch<T>(outer_scratch<T>(part.rows_m, part.columns)));
}

template <class T>
void reduce_outer(const OuterJob<T>& job) {
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

// --- backward, in the order of its use -----------------------------------------------------------------------------

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

}  // namespace

template <class T>
Status layer_forward(LayerForward<T>& p) try {
  const LayerInput<T>& in = p.in;
  const Kernels<T>& k = kernels<T>();
  Workspace& w = workspace();
  const Index GH = kGates[in.cell] * in.H;
  Rows rows;
  const Status status = find_rows(in, rows, p.bad_token);
  if (status != Status::kOk) return status;
  const Batch batch = arrange(in);
  Linear<T> project[2];
  CellForward<T> run[2];
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& direction = in.direction[d];
    T* const w_ih = w.w_ih[d].template get<T>(in.C * padded<T>(GH));
    T* const w_hh = w.w_hh[d].template get<T>(in.H * kGates[in.cell] * padded<T>(in.H));
    pack_columns(direction.w_ih, in.C, GH, Index(1), in.C, w_ih);
    if (kGates[in.cell] == 1) {
      pack_columns(direction.w_hh, in.H, in.H, Index(1), in.H, w_hh);
    } else {
      pack_units(direction.w_hh, kGates[in.cell], in.H, w_hh);
    }
    const bool in_place = p.kept[d].gates && !rows.row_of_token;
    T* const projected = in_place ? p.kept[d].gates : w.projected[d].template get<T>(rows.count * GH);
    project[d] = {in.x,      in.C, rows.id_of_row, w_ih,  in.C,     GH, add_biases(in, d),
                  projected, GH,   nullptr,        false, kIdentity};
    const T* const bias_n = in.cell == kGru && direction.b_hh ? direction.b_hh + 2 * in.H : nullptr;
    run[d] = {{batch.start, batch.length, batch.order, direction.reverse},
              in.H,
              projected,
              GH,
              rows.row_of_token,
              w_hh,
              bias_n,
              direction.h0,
              direction.c0,
              direction.mask,
              p.h + d * in.H,
              in.directions * in.H,
              p.kept[d].gates,
              p.kept[d].memo,
              p.hn[d],
              p.cn[d]};
  }
  const Index row_blocks = blocks(rows.count, kLinearRows);
  parallel(in.directions * row_blocks, in.threads, [&](Index task) {
    const Index first = task / in.directions * kLinearRows;
    k.linear(project[task % in.directions], first, std::min(rows.count, first + kLinearRows));
  });
  parallel(in.directions * batch.tiles, in.threads, [&](Index task) {
    const Index first = task / in.directions * batch.tile_rows;
    k.cell_forward[in.cell](run[task % in.directions], first, std::min(in.B, first + batch.tile_rows),
                            scratch<T>(cell_scratch<T>(in.H)));
  });
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status layer_backward(LayerBackward<T>& p) try {
  const LayerInput<T>& in = p.in;
  const Kernels<T>& k = kernels<T>();
  Workspace& w = workspace();
  const Index GH = kGates[in.cell] * in.H;
  const bool gru = in.cell == kGru;
  Index bad;
  Rows rows;
  const Status status = find_rows(in, rows, bad);
  if (status != Status::kOk) return status;
  const Batch batch = arrange(in);

  CellBackward<T> run[2];
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& direction = in.direction[d];
    T* const w_hh = w.w_hh[d].template get<T>(GH * padded<T>(in.H));
    pack_columns(direction.w_hh, GH, in.H, in.H, Index(1), w_hh);
    run[d] = {{batch.start, batch.length, batch.order, direction.reverse},
              in.H,
              w_hh,
              direction.h0,
              direction.c0,
              direction.mask,
              p.h + d * in.H,
              p.kept[d].gates,
              p.kept[d].memo,
              p.dh + d * in.H,
              in.directions * in.H,
              p.dhn[d],
              p.dcn[d],
              w.dgates[d].template get<T>(in.N * GH),
              gru ? w.dmemo[d].template get<T>(in.N * in.H) : nullptr,
              p.gradients[d].h0,
              p.gradients[d].c0};
  }
  parallel(in.directions * batch.tiles, in.threads, [&](Index task) {
    const Index first = task / in.directions * batch.tile_rows;
    k.cell_backward[in.cell](run[task % in.directions], first, std::min(in.B, first + batch.tile_rows),
                             scratch<T>(cell_scratch<T>(in.H)));
  });

  // Gradient of the projected input: by token as it is, or summed over the places of each distinct token.
  const T* dprojected[2] = {run[0].dgates, run[1].dgates};
  if (rows.row_of_token) {
    SumByRow<T> sum[2];
    for (int d = 0; d < in.directions; ++d) {
      T* const out = w.projected[d].template get<T>(rows.count * GH);
      sum[d] = {run[d].dgates, in.N, GH, rows.row_of_token, rows.count, out};
      dprojected[d] = out;
    }
    parallel(in.directions * blocks(GH, kSumColumns), in.threads, [&](Index task) {
      const Index first = task / in.directions * kSumColumns;
      k.sum_by_row(sum[task % in.directions], first, std::min(GH, first + kSumColumns));
    });
  }

  std::vector<OuterJob<T>> jobs;
  Linear<T> dinput[2];
  const T** const before = w.before.get<const T*>(2 * in.N + 1);
  std::int32_t* const sequence = w.sequence.get<std::int32_t>(in.N);
  T* const zero = w.zero.get<T>(in.H);
  std::fill(zero, zero + in.H, T(0));
  const T** table_row = nullptr;
  if (rows.id_of_row) {
    table_row = w.table_row.get<const T*>(rows.count);
    for (Index u = 0; u < rows.count; ++u) table_row[u] = in.x + rows.id_of_row[u] * in.C;
  }
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& direction = in.direction[d];
    const LayerGradients<T>& out = p.gradients[d];
    const T** const h_before = before + d * in.N;
    find_states_before(p, d, zero, h_before, sequence);
    const Index recurrent = gru ? 2 * in.H : GH;
    jobs.push_back(plan<T>(
        {run[d].dgates, GH, recurrent, nullptr, 0, h_before, direction.mask, sequence, in.H, out.w_hh, nullptr}, in.N));
    if (gru) {
      jobs.push_back(plan<T>({run[d].dmemo, in.H, in.H, nullptr, 0, h_before, direction.mask, sequence, in.H,
                              out.w_hh + recurrent * in.H, out.b_hh + recurrent},
                             in.N));
    }
    jobs.push_back(plan<T>({dprojected[d], GH, GH, in.x, in.C, table_row, nullptr, nullptr, in.C, out.w_ih, out.b_ih},
                           rows.count));
    if (!p.dx) continue;
    T* const w_ih = w.w_ih[d].template get<T>(GH * padded<T>(in.C));
    pack_columns(direction.w_ih, GH, in.C, in.C, Index(1), w_ih);
    dinput[d] = {dprojected[d], GH, nullptr, w_ih, GH, in.C, nullptr, p.dx, in.C, rows.id_of_row, d > 0, kIdentity};
  }
  Index partial = 0, outer_tasks = 0;
  for (const OuterJob<T>& job : jobs) partial += job.splits * job.partial_size();
  T* at = w.partial.template get<T>(partial);
  for (OuterJob<T>& job : jobs) {
    job.partial = at;
    at += job.splits * job.partial_size();
    outer_tasks += job.tasks();
  }
  const Index linear_tasks = p.dx ? blocks(rows.count, kLinearRows) : 0;
  parallel(outer_tasks + linear_tasks, in.threads, [&](Index task) {
    for (const OuterJob<T>& job : jobs) {
      if (task < job.tasks()) return run_outer(job, task, k);
      task -= job.tasks();
    }
    const Index first = task * kLinearRows, last = std::min(rows.count, first + kLinearRows);
    for (int d = 0; d < in.directions; ++d) k.linear(dinput[d], first, last);
  });
  parallel(static_cast<Index>(jobs.size()), in.threads, [&](Index job) { reduce_outer(jobs[job]); });
  for (int d = 0; d < in.directions; ++d) {
    const LayerGradients<T>& out = p.gradients[d];
    std::copy(out.b_ih, out.b_ih + (gru ? 2 * in.H : GH), out.b_hh);
  }
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status dense(const T* x, const T* w, const T* bias, T* y, Index rows, Index K, Index columns, Activation activation,
             int threads) try {
  const Kernels<T>& k = kernels<T>();
  T* const packed = workspace().w_ih[0].get<T>(K * padded<T>(columns));
  pack_columns(w, K, columns, Index(1), K, packed);
  const Linear<T> run{x, K, nullptr, packed, K, columns, bias, y, columns, nullptr, false, activation};
  parallel(blocks(rows, kLinearRows), threads,
           [&](Index task) { k.linear(run, task * kLinearRows, std::min(rows, (task + 1) * kLinearRows)); });
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template Status layer_forward(LayerForward<float>&);
template Status layer_forward(LayerForward<double>&);
template Status layer_backward(LayerBackward<float>&);
template Status layer_backward(LayerBackward<double>&);
template Status dense(const float*, const float*, const float*, float*, Index, Index, Index, Activation, int);
template Status dense(const double*, const double*, const double*, double*, Index, Index, Index, Activation, int);

}  // namespace tidegate
