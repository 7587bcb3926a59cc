// A layer run forward: pack, project the input, walk the tiles through time.
#include "isa/dispatch.h"
#include "layer/pack.h"
#include "layer/spread.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

// A walk in stretches of a few steps, each projected just before it, so that the core which projects a row finds it in
// its cache. Done where no gates are kept and there are tiles enough to keep all threads busy.
template <class T>
struct Stretches {
  const LayerInput<T>& in;
  const Kernels<T>& k;
  const Batch& batch;
  Index steps;              // of a stretch; 0: all is projected beforehand
  Index* start;             // [directions, B] of the stretch, as are
  Index* length;            // [directions, B]
  std::int32_t* input_row;  // [directions, N]

  Stretches(const LayerInput<T>& input, const Kernels<T>& kernels, const Batch& tiles, bool wanted)
      : in(input), k(kernels), batch(tiles), steps(0) {
    const Index row = columns() * Index(sizeof(T)), most = Index(256) << 10;  // bytes; a cache also holds the weights
    const bool enough = in.threads == 1 || in.directions * batch.tiles >= (batch.even ? 1 : 3) * in.threads;
    if (!wanted || !enough || sharers<T>(walk_of(in, batch)) > 1 || in.N * row <= 2 * most) return;
    const Index rows = std::min(in.B, batch.tile_rows);
    const bool cached = (in.C + in.H) * row <= 4 * most;  // the weights
    steps = blocks(std::max((cached ? 1 : 4) * kLinearRows, most / row), rows);
    start = workspace().stretch.template get<Index>(2 * in.directions * in.B);
    length = start + in.directions * in.B;
    input_row = workspace().stretch_row.template get<std::int32_t>(in.directions * in.N);
  }
  Index columns() const { return kTraits[in.cell].gates * in.H; }
  Index rows() const { return steps * batch.tile_rows; }
  // The projected rows of a stretch, and then the token of each.
  Index scratch_size() const { return rows() * (columns() + 1); }

  void run(Index d, CellForward<T> cell, Linear<T> project, Index first, Index last, const Units& units,
           T* memory) const {
    project.y = memory + cell_scratch<T>(in.H);
    std::int32_t* const token_of_row = reinterpret_cast<std::int32_t*>(project.y + rows() * columns());
    project.row_in = token_of_row;
    cell.input = project.y;
    cell.input_row = input_row + d * in.N;
    cell.sequences.start = start + d * in.B;
    cell.sequences.length = length + d * in.B;
    const Index longest = batch.length[batch.order[first]];
    for (Index begin = 0; begin == 0 || (begin < longest && !halted()); begin += steps) {
      k.linear(project, 0, enter(d, cell.sequences, begin, first, last, token_of_row));
      k.cell[in.cell].forward(cell, first, last, units, memory);
      cell.h0 = cell.hn;
      cell.c0 = cell.cn;
    }
  }

  // Cuts the stretch that begins at step `begin` out of each sequence of a tile; returns how many rows it has.
  Index enter(Index d, const Sequences& sequences, Index begin, Index first, Index last,
              std::int32_t* token_of_row) const {
    Index *const from = start + d * in.B, *const count = length + d * in.B;
    for (Index r = first; r < last; ++r) {
      const Index b = batch.order[r], left = std::max<Index>(0, batch.length[b] - begin);
      count[b] = std::min(left, steps);
      from[b] = batch.start[b] + (sequences.reverse ? left - count[b] : begin) * sequences.stride;
    }
    std::int32_t rows = 0;
    for (Index step = 0; step < count[batch.order[first]]; ++step) {
      for (Index r = first; r < last && step < count[batch.order[r]]; ++r) {
        const Index token = from[batch.order[r]] + step * sequences.stride;
        token_of_row[rows] = static_cast<std::int32_t>(token);
        input_row[d * in.N + token] = rows++;
      }
    }
    return rows;
  }
};

// Everything that the steps of one forward call share.
template <class T>
struct ForwardCall {
  LayerForward<T>& p;
  const LayerInput<T>& in;
  const Kernels<T>& k;
  Workspace& w;
  Index GH = kTraits[in.cell].gates * in.H;
  Rows rows{};
  Linear<T> to_gates[2]{};  // of the rows that are projected
  CellForward<T> run[2]{};

  PackedDirection<T> pack(int d) const {
    const Direction<T>& direction = in.direction[d];
    T* const w_ih = w.w_ih[d].template get<T>(in.C * padded<T>(GH));
    T* const w_hh = w.w_hh[d].template get<T>(in.H * kTraits[in.cell].gates * padded<T>(in.H));
    T* const bias = w.bias[d].template get<T>(GH);
    pack_columns(direction.w_ih, in.C, GH, Index(1), in.C, w_ih);
    pack_recurrent(in.cell, direction.w_hh, in.H, w_hh);
    add_biases(in.cell, direction, in.H, bias);
    return {w_ih, w_hh, bias, bias_apart(in.cell, direction, in.H)};
  }

  // Plans the projection of the input of a direction, as a whole or in stretches.
  void prepare(int d, const PackedDirection<T>& packed, bool whole) {
    const bool in_place = p.kept[d].gates && !rows.row_of_token;
    to_gates[d].x = in.x;
    to_gates[d].x_stride = to_gates[d].K = in.C;
    to_gates[d].row_in = rows.id_of_row;
    to_gates[d].w = packed.w_ih;
    to_gates[d].columns = to_gates[d].y_stride = GH;
    to_gates[d].bias = packed.bias;
    to_gates[d].y = in_place ? p.kept[d].gates : w.projected[d].template get<T>(whole ? rows.count * GH : 0);
    run[d].w_hh = packed.w_hh;
    run[d].bias_apart = packed.bias_apart;
    run[d].input = to_gates[d].y;
  }

  // packed(d): the weights of a direction; `projected`: what was projected already, or null.
  template <class F>
  void go(const F& packed, const T* const* projected) {
    const Batch batch = arrange(in);
    const Stretches<T> stretches(in, k, batch, !p.kept[0].gates && !rows.row_of_token);
    for (int d = 0; d < in.directions; ++d) {
      prepare(d, packed(d), !stretches.steps);
      if (projected) run[d].input = projected[d];
    }
    if (!stretches.steps) project();
    through_time(batch, stretches);
    w.release();
  }

  void project() {
    parallel(in.directions * blocks(rows.count, kLinearRows), in.threads, [&](Index task) {
      const Index first = task / in.directions * kLinearRows;
      k.linear(to_gates[task % in.directions], first, std::min(rows.count, first + kLinearRows));
    });
  }

  void through_time(const Batch& batch, const Stretches<T>& stretches) {
    for (int d = 0; d < in.directions; ++d) {
      const Direction<T>& direction = in.direction[d];
      CellForward<T>& r = run[d];
      r.sequences = {batch.start, batch.length, batch.order, direction.reverse, in.by_step ? in.B : 1};
      r.H = in.H;
      r.input_stride = GH;
      r.input_row = rows.row_of_token;
      r.h0 = direction.h0;
      r.c0 = direction.c0;
      r.mask = direction.mask;
      r.h = p.h + d * in.H;
      r.h_stride = in.directions * in.H;
      r.gates = p.kept[d].gates;
      r.memo = p.kept[d].memo;
      r.hn = p.hn[d];
      r.cn = p.cn[d];
    }
    walk<T>(walk_of(in, batch), stretches.scratch_size(),
            [&](Index d, Index first, Index last, const Units& units, T* memory) {
              if (stretches.steps) {
                stretches.run(d, run[d], to_gates[d], first, last, units, memory);
              } else {
                k.cell[in.cell].forward(run[d], first, last, units, memory);
              }
            });
  }
};

}  // namespace

template <class T>
Status layer_forward(LayerForward<T>& p) try {
  ForwardCall<T> call{p, p.in, kernels<T>(), workspace()};
  const Status status = find_rows(p.in, call.rows, p.bad_token);
  if (status != Status::kOk) return status;
  const auto pack = [&](int d) { return call.pack(d); };
  call.go(pack, nullptr);
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
void packed_forward(LayerForward<T>& p, const PackedDirection<T>* packed, const T* const* projected,
                    const std::int32_t* row_of) {
  ForwardCall<T> call{p, p.in, kernels<T>(), workspace()};
  call.rows = {projected ? 0 : p.in.N, row_of, nullptr};
  call.go([&](int d) { return packed[d]; }, projected);
}

template <class T>
Status dense(const T* x, const T* w, bool as_it_is, const T* bias, T* y, Index rows, Index K, Index columns,
             Activation activation, int threads) try {
  T* const packed = workspace().w_ih[0].get<T>(K * padded<T>(columns));
  pack_columns(w, K, columns, as_it_is ? columns : 1, as_it_is ? 1 : K, packed);
  Linear<T> run{};
  run.x = x;
  run.x_stride = run.K = K;
  run.w = packed;
  run.columns = run.y_stride = columns;
  run.bias = bias;
  run.y = y;
  run.activation = activation;
  multiply(run, rows, threads);
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template Status layer_forward(LayerForward<float>&);
template Status layer_forward(LayerForward<double>&);
template void packed_forward(LayerForward<float>&, const PackedDirection<float>*, const float* const*,
                             const std::int32_t*);
template void packed_forward(LayerForward<double>&, const PackedDirection<double>*, const double* const*,
                             const std::int32_t*);
template Status dense(const float*, const float*, bool, const float*, float*, Index, Index, Index, Activation, int);
template Status dense(const double*, const double*, bool, const double*, double*, Index, Index, Index, Activation, int);

}  // namespace tidegate
