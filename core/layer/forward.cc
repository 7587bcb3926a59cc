// A layer run forward: pack, project the input, walk the tiles through time.
#include "isa/dispatch.h"
#include "layer/batch.h"
#include "layer/pack.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

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

  // Packs the weights of a direction, and plans the projection of its input.
  void prepare(int d) {
    const Direction<T>& direction = in.direction[d];
    T* const w_ih = w.w_ih[d].template get<T>(in.C * padded<T>(GH));
    T* const w_hh = w.w_hh[d].template get<T>(in.H * kTraits[in.cell].gates * padded<T>(in.H));
    T* const bias = w.bias[d].template get<T>(GH);
    pack_columns(direction.w_ih, in.C, GH, Index(1), in.C, w_ih);
    pack_recurrent(in.cell, direction.w_hh, in.H, w_hh);
    add_biases(in.cell, direction, in.H, bias);
    const bool in_place = p.kept[d].gates && !rows.row_of_token;
    to_gates[d].x = in.x;
    to_gates[d].x_stride = to_gates[d].K = in.C;
    to_gates[d].row_in = rows.id_of_row;
    to_gates[d].w = w_ih;
    to_gates[d].columns = to_gates[d].y_stride = GH;
    to_gates[d].bias = bias;
    to_gates[d].y = in_place ? p.kept[d].gates : w.projected[d].template get<T>(rows.count * GH);
    run[d].w_hh = w_hh;
    run[d].bias_apart = bias_apart(in.cell, direction, in.H);
  }

  void project() {
    parallel(in.directions * blocks(rows.count, kLinearRows), in.threads, [&](Index task) {
      const Index first = task / in.directions * kLinearRows;
      k.linear(to_gates[task % in.directions], first, std::min(rows.count, first + kLinearRows));
    });
  }

  void through_time(const Batch& batch) {
    for (int d = 0; d < in.directions; ++d) {
      const Direction<T>& direction = in.direction[d];
      CellForward<T>& r = run[d];
      r.sequences = {batch.start, batch.length, batch.order, direction.reverse};
      r.H = in.H;
      r.input = to_gates[d].y;
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
    walk(in, batch, [&](Index d, Index first, Index last, const Units& units, T* memory) {
      k.cell[in.cell].forward(run[d], first, last, units, memory);
    });
  }
};

}  // namespace

template <class T>
Status layer_forward(LayerForward<T>& p) try {
  ForwardCall<T> call{p, p.in, kernels<T>(), workspace()};
  const Status status = find_rows(p.in, call.rows, p.bad_token);
  if (status != Status::kOk) return status;
  const Batch batch = arrange(p.in);
  for (int d = 0; d < p.in.directions; ++d) call.prepare(d);
  call.project();
  call.through_time(batch);
  call.w.release();
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status dense(const T* x, const T* w, bool as_it_is, const T* bias, T* y, Index rows, Index K, Index columns,
             Activation activation, int threads) try {
  const Kernels<T>& k = kernels<T>();
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
  parallel(blocks(rows, kLinearRows), threads,
           [&](Index task) { k.linear(run, task * kLinearRows, std::min(rows, (task + 1) * kLinearRows)); });
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template Status layer_forward(LayerForward<float>&);
template Status layer_forward(LayerForward<double>&);
template Status dense(const float*, const float*, bool, const float*, float*, Index, Index, Index, Activation, int);
template Status dense(const double*, const double*, bool, const double*, double*, Index, Index, Index, Activation, int);

}  // namespace tidegate
