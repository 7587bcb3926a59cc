// A layer run forward: pack, project the input, walk the tiles through time.
#include "isa/dispatch.h"
#include "layer/batch.h"
#include "layer/pack.h"
#include "machine/threads.h"

namespace tidegate {
template <class T>
Status layer_forward(LayerForward<T>& p) try {
  const LayerInput<T>& in = p.in;
  const Kernels<T>& k = kernels<T>();
  Workspace& w = workspace();
  const Index GH = kTraits[in.cell].gates * in.H;
  Rows rows;
  const Status status = find_rows(in, rows, p.bad_token);
  if (status != Status::kOk) return status;
  const Batch batch = arrange(in);
  Linear<T> project[2];
  CellForward<T> run[2]{};
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& direction = in.direction[d];
    T* const w_ih = w.w_ih[d].template get<T>(in.C * padded<T>(GH));
    T* const w_hh = w.w_hh[d].template get<T>(in.H * kTraits[in.cell].gates * padded<T>(in.H));
    pack_columns(direction.w_ih, in.C, GH, Index(1), in.C, w_ih);
    pack_recurrent(in.cell, direction.w_hh, in.H, w_hh);
    T* const bias = w.bias[d].template get<T>(GH);
    add_biases(in.cell, direction, in.H, bias);
    const bool in_place = p.kept[d].gates && !rows.row_of_token;
    T* const projected = in_place ? p.kept[d].gates : w.projected[d].template get<T>(rows.count * GH);
    project[d] = {in.x, in.C, rows.id_of_row, w_ih, in.C, GH, bias, projected, GH, nullptr, false, kIdentity};
    CellForward<T>& r = run[d];
    r.sequences = {batch.start, batch.length, batch.order, direction.reverse};
    r.H = in.H;
    r.input = projected;
    r.input_stride = GH;
    r.input_row = rows.row_of_token;
    r.w_hh = w_hh;
    r.bias_apart = bias_apart(in.cell, direction, in.H);
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
  const Index row_blocks = blocks(rows.count, kLinearRows);
  parallel(in.directions * row_blocks, in.threads, [&](Index task) {
    const Index first = task / in.directions * kLinearRows;
    k.linear(project[task % in.directions], first, std::min(rows.count, first + kLinearRows));
  });
  walk(in, batch, [&](Index d, Index first, Index last, const Units& units, T* memory) {
    k.cell[in.cell].forward(run[d], first, last, units, memory);
  });
  w.release();
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
  const Linear<T> run{x, K, nullptr, packed, K, columns, bias, y, columns, nullptr, false, activation};
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
