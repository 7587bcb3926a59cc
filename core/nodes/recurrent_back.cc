// A group run back through the layers of a recurrent node.
#include "isa/dispatch.h"
#include "layer/spread.h"
#include "nodes/recurrent_run.h"

namespace tidegate {

template <class T>
void Recurrent<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  Run& run = *static_cast<Run*>(kept);
  Arena& arena = lane.arena;
  LayerRun& top = run.layers[o_.layers - 1];
  const Index width = directions() * o_.hidden_size;
  top.dh = gave.drows;
  if (gave.rows != top.h) {
    top.dh = arena.template get<T>(run.N * width);
    part_directions(o_.merge, top.h, gave.drows, directions(), o_.hidden_size, run.N, top.dh);
  }
  for (int index = o_.layers - 1; index >= 0; --index) {
    LayerRun& layer = run.layers[index];
    const bool wanted = index > 0 || (layer.x && read.wanted);
    T* const dx = wanted ? arena.template get<T>(run.N * units_[index * directions()].inputs) : nullptr;
    walk_backward(lane, run, index, *gave.ends, read, dx);
    if (index == 0) {
      if (dx) read.drows = dx;
      if (run.own && o_.starts) find_starts(lane, run, (&read)[1]);
      return;
    }
    if (this->common->drops(o_.dropout)) drop(read, index, dx, dx);
    run.layers[index - 1].dh = dx;
  }
}

// The gradient of the states that another node gave the sequences to begin with.
template <class T>
void Recurrent<T>::find_starts(Lane<T>& lane, const Run& run, Flow<T>& read) const {
  const Ends<T>& starts = *run.starts;
  const Index H = starts.H;
  read.drows = lane.arena.template get<T>(run.B * read.width);
  for (Index b = 0; b < run.B; ++b) {
    T* to = read.drows + b * read.width;
    for (int i = 0; i < starts.count; ++i) to = std::copy_n(starts.dh[i] + b * H, H, to);
    for (int i = 0; starts.dc && i < starts.count; ++i) to = std::copy_n(starts.dc[i] + b * H, H, to);
  }
}

// Adds to the gradients of a layer, and finds those of what it read: dx [N, inputs], or of rows of the table.
template <class T>
void Recurrent<T>::walk_backward(Lane<T>& lane, Run& run, int index, const Ends<T>& ends, const Flow<T>& read, T* dx) {
  LayerRun& layer = run.layers[index];
  if (run.steps) {
    for (int d = 0; d < directions(); ++d) backward_in_pieces(lane, run, index, d, ends, read, dx);
    return;
  }
  CellBackward<T> walks[2];
  const Ways ways = followed(run, index);
  each_direction(
      run.B, ways, [&](int d) { walks[d] = turn(lane, run, layer, index, d, ends); },
      [&](int d, Index first, Index last, const Units& units, T* memory) {
        kernels<T>().cell[o_.cell].backward(walks[d], first, last, units, memory);
      });
  const std::int32_t* const place = layer.x || !lane.gradient ? nullptr : touch(lane, read.row_of, run.N);
  for (int d = ways.first; d < ways.last; ++d) {
    if (run.watched) gauge.reach(lane, index * directions() + d, walks[d], run.B);
    if (lane.gradient) add_weights(lane, run, layer, index, d);
    if (dx) find_input(run, layer, index, d, d > ways.first, dx);
  }
  for (int d = 0; !lane.gradient && d < directions(); ++d) {  // for the next way back
    const int at = index * directions() + d;
    std::fill_n(ends.dh[at], run.B * ends.H, T(0));
    if (ends.dc) std::fill_n(ends.dc[at], run.B * ends.H, T(0));
  }
  if (!place) return;
  parallel(directions(), this->common->inside,
           [&](Index d) { add_by_row(lane, layer, static_cast<int>(d), place, run.N); });
}

// The directions of a layer that are gone back through.
template <class T>
typename Recurrent<T>::Ways Recurrent<T>::followed(const Run& run, int index) const {
  const bool one = run.own && look_.way >= 0 && index == o_.layers - 1;
  return one ? Ways{look_.way, look_.way + 1} : Ways{0, directions()};
}

// What the cells of a direction are to do on the way back.
template <class T>
CellBackward<T> Recurrent<T>::turn(Lane<T>& lane, const Run& run, LayerRun& layer, int index, int d,
                                   const Ends<T>& ends) {
  Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size;
  const int at = index * directions() + d;
  const Unit<T>& unit = units_[at];
  CellBackward<T> walk{};
  walk.sequences = {run.start, run.length, run.order, unit.reverse};
  walk.H = H;
  walk.w_hh = unit.backward_hh;
  walk.h0 = starts ? starts->h[at] : nullptr;
  walk.c0 = starts && starts->c ? starts->c[at] : nullptr;
  walk.mask = layer.mask[d];
  walk.h = layer.h + d * H;
  walk.gates = layer.gates[d];
  walk.memo = layer.memo[d];
  walk.dh = layer.dh + d * H;
  walk.h_stride = directions() * H;
  walk.dhn = ends.dh[at];
  walk.dcn = ends.dc ? ends.dc[at] : nullptr;
  layer.dgates[d] = lane.gradient ? layer.gates[d] : arena.template get<T>(run.N * GH_);
  layer.dmemo[d] = lane.gradient || !traits_.one_apart() ? layer.memo[d] : arena.template get<T>(run.N * H);
  walk.dgates = layer.dgates[d];
  walk.dmemo = layer.dmemo[d];
  if (run.own && !look_.steps.empty()) {
    walk.dh_steps = look_.steps[at].h;
    walk.dc_steps = look_.steps[at].c;
  }
  if (run.watched) {
    const bool gated = traits_.gated();
    gauge.count(lane, at, gated ? layer.gates[d] : layer.h + d * H, gated ? GH_ : directions() * H, run.N, H);
  }
  walk.dh0 = starts ? starts->dh[at] : arena.template get<T>(run.B * H);
  if (traits_.carries_c) walk.dc0 = starts ? starts->dc[at] : arena.template get<T>(run.B * H);
  return walk;
}

// The gradients of the two matrices and the biases of one direction of a layer.
template <class T>
void Recurrent<T>::add_weights(Lane<T>& lane, const Run& run, const LayerRun& layer, int index, int d) {
  const Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size, shared = traits_.shared * H;
  const T* const zero = arena.template zeros<T>(H);
  std::int32_t* const sequence = arena.template get<std::int32_t>(run.N);
  const T** const before = arena.template get<const T*>(run.N);
  const int at = index * directions() + d;
  const Unit<T>& unit = units_[at];
  T* const gradient = lane.gradient + this->offset;
  find_before(run, layer, d, starts ? starts->h[at] : nullptr, zero, before, sequence);
  const auto add = [&](const T* a, Index rows_m, Index stride, const T* const* b_row, const T* b, Index columns,
                       const T* mask, T* out, T* column_sum) {
    Outer<T> outer{};
    outer.a = a;
    outer.a_stride = stride;
    outer.rows_m = rows_m;
    outer.b = b;
    outer.b_stride = columns;
    outer.b_row = b_row;
    outer.scale = mask;
    outer.scale_row = sequence;
    outer.columns = columns;
    outer.out = out;
    outer.column_sum = column_sum;
    add_outer(outer, run.N, this->common->inside);
  };
  add(layer.dgates[d], shared, GH_, before, nullptr, H, layer.mask[d], gradient + unit.w_hh, nullptr);
  if (traits_.one_apart()) {
    add(layer.dmemo[d], H, H, before, nullptr, H, layer.mask[d], gradient + unit.w_hh + shared * H,
        o_.bias ? gradient + unit.b_hh + shared : nullptr);
  }
  if (!layer.x) return;
  add(layer.dgates[d], GH_, GH_, nullptr, layer.x, unit.inputs, nullptr, gradient + unit.w_ih,
      o_.bias ? gradient + unit.b_ih : nullptr);
}

// Where each token finds the state before it, and which sequence it belongs to.
template <class T>
void Recurrent<T>::find_before(const Run& run, const LayerRun& layer, int d, const T* h0, const T* zero,
                               const T** before, std::int32_t* sequence) const {
  const Index H = o_.hidden_size, stride = directions() * H;
  const bool reverse = o_.reverse || d == 1;
  for (Index b = 0; b < run.B; ++b) {
    const Index begin = run.start[b], end = begin + run.length[b];
    for (Index n = begin; n < end; ++n) {
      const bool is_first = n == (reverse ? end - 1 : begin);
      const T* const initial = h0 ? h0 + b * H : zero;
      before[n] = is_first ? initial : layer.h + (reverse ? n + 1 : n - 1) * stride + d * H;
      sequence[n] = static_cast<std::int32_t>(b);
    }
  }
}

// dx [N, inputs]: the gate gradients of a direction times its input matrix.
template <class T>
void Recurrent<T>::find_input(const Run& run, const LayerRun& layer, int index, int d, bool accumulate, T* dx) const {
  const Unit<T>& unit = units_[index * directions() + d];
  Linear<T> back{};
  back.x = layer.dgates[d];
  back.x_stride = GH_;
  back.w = unit.backward_ih;
  back.K = GH_;
  back.columns = unit.inputs;
  back.y = dx;
  back.y_stride = unit.inputs;
  back.accumulate = accumulate;
  multiply(back, run.N, this->common->inside);
}

// Where among the rows that the lane touched each of N tokens finds its own; new ones begin with zeros.
template <class T>
const std::int32_t* Recurrent<T>::touch(Lane<T>& lane, const std::int32_t* row_of, Index N) {
  std::int32_t* const place = lane.arena.template get<std::int32_t>(N);
  TouchedRows<T>& touched = table_->touched;
  const Index before = touched.count(lane);
  for (Index n = 0; n < N; ++n) place[n] = static_cast<std::int32_t>(touched.touch(lane, row_of[n]));
  for (int d = 0; d < directions(); ++d) {
    T* const sums = sums_[lane.index * directions() + d];
    std::fill(sums + before * GH_, sums + touched.count(lane) * GH_, T(0));
  }
  return place;
}

// Adds the gate gradients of each token to those of its row of the table.
template <class T>
void Recurrent<T>::add_by_row(Lane<T>& lane, const LayerRun& layer, int d, const std::int32_t* place, Index N) {
  kernels<T>().add_rows({layer.dgates[d], GH_, place, sums_[lane.index * directions() + d]}, 0, N);
}

template void Recurrent<float>::back(Lane<float>&, Flow<float>&, const Flow<float>&, void*);
template CellBackward<float> Recurrent<float>::turn(Lane<float>&, const Run&, LayerRun&, int, int, const Ends<float>&);
template void Recurrent<float>::add_weights(Lane<float>&, const Run&, const LayerRun&, int, int);
template void Recurrent<float>::find_input(const Run&, const LayerRun&, int, int, bool, float*) const;
template const std::int32_t* Recurrent<float>::touch(Lane<float>&, const std::int32_t*, Index);
template void Recurrent<float>::add_by_row(Lane<float>&, const LayerRun&, int, const std::int32_t*, Index);
template void Recurrent<double>::back(Lane<double>&, Flow<double>&, const Flow<double>&, void*);
template CellBackward<double> Recurrent<double>::turn(Lane<double>&, const Run&, LayerRun&, int, int,
                                                      const Ends<double>&);
template void Recurrent<double>::add_weights(Lane<double>&, const Run&, const LayerRun&, int, int);
template void Recurrent<double>::find_input(const Run&, const LayerRun&, int, int, bool, double*) const;
template const std::int32_t* Recurrent<double>::touch(Lane<double>&, const std::int32_t*, Index);
template void Recurrent<double>::add_by_row(Lane<double>&, const LayerRun&, int, const std::int32_t*, Index);

}  // namespace tidegate
