// The cells of grids: five gates, h = o * tanh(c). They differ in how the two cell states before become one.
//
//   stable   c = f * (l * c_left + (1 - l) * c_up) + i * g   (after Leifert et al. 2016)
//   mdlstm   c = f_x * c_left + f_y * c_up + i * g           (Graves & Schmidhuber 2008, without peepholes)
//
// The weights of the stable cell add up to at most one, as in one dimension; those of the other may reach two, so that
// its state can double from wave to wave. It is held within kMostState there, where tanh has long been flat.
#pragma once

#include "grid/wave.h"

namespace tidegate {
namespace {

constexpr int kMostState = 50;

template <class T>
struct StableCell {
  template <class S, class Gate>
  static TIDEGATE_INLINE void forward(const ForwardBlock<T>& at, const S& spot, Index H, const Gate& gate) {
    using V = typename S::Rows;
    const V i = sigmoid(gate(0)), f = sigmoid(gate(1)), l = sigmoid(gate(2)), g = tanh(gate(3));
    const V before = fma(l, spot.load(at.c_left), (V::set(1) - l) * spot.load(at.c_up));
    const V c = fma(f, before, i * g);
    const V o = sigmoid(gate(4));
    if (at.h[0]) spot.store(at.c, c), spot.store(at.h, o * tanh(c));
    if (!at.gates[0]) return;
    spot.store(at.gates, i), spot.store(at.gates, f, H), spot.store(at.gates, l, 2 * H);
    spot.store(at.gates, g, 3 * H), spot.store(at.gates, o, 4 * H);
  }

  template <class S>
  static TIDEGATE_INLINE void backward(const BackwardBlock<T>& at, const S& spot, Index H) {
    using V = typename S::Rows;
    const V one = V::set(1);
    const V i = spot.load(at.gates), f = spot.load(at.gates, H), l = spot.load(at.gates, 2 * H);
    const V g = spot.load(at.gates, 3 * H), o = spot.load(at.gates, 4 * H);
    const V tanh_c = tanh(spot.load(at.c)), dh = spot.load(at.dh);
    const V dc = fma(dh * o, fnma(tanh_c, tanh_c, one), spot.load(at.dc_right)) + spot.load(at.dc_below);
    const V c_left = spot.load(at.c_left), c_up = spot.load(at.c_up), rest = one - l;
    spot.store(at.dgates, dc * g * (i * (one - i)));
    spot.store(at.dgates, dc * fma(l, c_left, rest * c_up) * (f * (one - f)), H);
    spot.store(at.dgates, dc * f * (c_left - c_up) * (l * rest), 2 * H);
    spot.store(at.dgates, dc * i * fnma(g, g, one), 3 * H);
    spot.store(at.dgates, dh * tanh_c * (o * (one - o)), 4 * H);
    spot.store(at.dc, dc * f * l);
    spot.store(at.dc, dc * f * rest, H);
  }
};

template <class T>
struct MdlstmCell {
  template <class S, class Gate>
  static TIDEGATE_INLINE void forward(const ForwardBlock<T>& at, const S& spot, Index H, const Gate& gate) {
    using V = typename S::Rows;
    const V i = sigmoid(gate(0)), f_x = sigmoid(gate(1)), f_y = sigmoid(gate(2)), g = tanh(gate(3));
    const V sum = fma(f_y, spot.load(at.c_up), fma(f_x, spot.load(at.c_left), i * g));
    const V c = with_sign(max(V::set(-kMostState), negative_magnitude(sum)), sum);
    const V o = sigmoid(gate(4));
    if (at.h[0]) spot.store(at.c, c), spot.store(at.h, o * tanh(c));
    if (!at.gates[0]) return;
    spot.store(at.gates, i), spot.store(at.gates, f_x, H), spot.store(at.gates, f_y, 2 * H);
    spot.store(at.gates, g, 3 * H), spot.store(at.gates, o, 4 * H);
  }

  template <class S>
  static TIDEGATE_INLINE void backward(const BackwardBlock<T>& at, const S& spot, Index H) {
    using V = typename S::Rows;
    const V one = V::set(1), c = spot.load(at.c);
    const V i = spot.load(at.gates), f_x = spot.load(at.gates, H), f_y = spot.load(at.gates, 2 * H);
    const V g = spot.load(at.gates, 3 * H), o = spot.load(at.gates, 4 * H);
    const V tanh_c = tanh(c), dh = spot.load(at.dh);
    const V passed = fma(dh * o, fnma(tanh_c, tanh_c, one), spot.load(at.dc_right)) + spot.load(at.dc_below);
    const V dc = where_greater(negative_magnitude(c), V::set(-kMostState), passed, V::set(0));
    spot.store(at.dgates, dc * g * (i * (one - i)));
    spot.store(at.dgates, dc * spot.load(at.c_left) * (f_x * (one - f_x)), H);
    spot.store(at.dgates, dc * spot.load(at.c_up) * (f_y * (one - f_y)), 2 * H);
    spot.store(at.dgates, dc * i * fnma(g, g, one), 3 * H);
    spot.store(at.dgates, dh * tanh_c * (o * (one - o)), 4 * H);
    spot.store(at.dc, dc * f_x);
    spot.store(at.dc, dc * f_y, H);
  }
};

// In the order of the table.
template <class T>
constexpr void fill_grid(GridKernels<T>* cell) {
  cell[0] = {grid_forward<T, StableCell>, grid_backward<T, StableCell>};
  cell[1] = {grid_forward<T, MdlstmCell>, grid_backward<T, MdlstmCell>};
}

}  // namespace
}  // namespace tidegate
