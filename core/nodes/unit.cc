#include "nodes/unit.h"

#include "isa/dispatch.h"
#include "layer/pack.h"
#include "layer/spread.h"

namespace tidegate {

template <class T>
Index Unit<T>::settle(Index at) {
  w_ih = at;
  w_hh = w_ih + columns() * inputs;
  b_ih = w_hh + columns() * H;
  b_hh = biased ? b_ih + columns() : b_ih;
  return biased ? b_hh + columns() : b_hh;
}

template <class T>
void Unit<T>::pack(const T* parameters, const T* dropped, bool back, Arena& arena) {
  const Index GH = columns();
  const T* const ih = parameters + w_ih;
  const T* hh = parameters + w_hh;
  mask = dropped;
  of_table = nullptr;
  if (mask) {
    T* const kept = arena.get<T>(GH * H);
    for (Index i = 0; i < GH * H; ++i) kept[i] = hh[i] * mask[i];
    hh = kept;
  }
  forward_ih = arena.get<T>(inputs * padded<T>(GH));
  forward_hh = arena.get<T>(H * kTraits[cell].gates * padded<T>(H));
  bias = arena.get<T>(GH);
  pack_columns(ih, inputs, GH, Index(1), inputs, forward_ih);
  pack_recurrent(cell, hh, H, forward_hh);
  Direction<T> direction{};
  if (biased) {
    direction.b_ih = parameters + b_ih;
    direction.b_hh = parameters + b_hh;
  }
  add_biases(cell, direction, H, bias);
  bias_apart = tidegate::bias_apart(cell, direction, H);
  if (bias_apart) {
    T* const own = arena.get<T>(H);
    std::copy_n(bias_apart, H, own);
    bias_apart = own;
  }
  if (!back) return;
  backward_ih = arena.get<T>(GH * padded<T>(inputs));
  backward_hh = arena.get<T>(GH * padded<T>(H));
  pack_columns(ih, GH, inputs, inputs, Index(1), backward_ih);
  pack_columns(hh, GH, H, H, Index(1), backward_hh);
}

template <class T>
void Unit<T>::project(const T* rows, Index count, int threads, Arena& arena) {
  projected = arena.get<T>(count * columns());
  Linear<T> run{};
  run.x = rows;
  run.x_stride = inputs;
  run.w = forward_ih;
  run.K = inputs;
  run.columns = columns();
  run.bias = bias;
  run.y = projected;
  run.y_stride = columns();
  multiply(run, count, threads);
}

template struct Unit<float>;
template struct Unit<double>;

}  // namespace tidegate
