// What an optimiser makes of a gradient, number by number: the same operations in the same order on every ISA.
#pragma once

#include "isa/simd.h"

namespace tidegate {
namespace {

// torch.optim.SGD without dampening
template <class T>
void sgd(const Update<T>& p, Index first, Index last) {
  for (Index i = first; i < last; ++i) {
    const T g = p.gradient[i] * p.scale + p.decay * p.parameter[i];
    T move = g;
    if (p.first) {
      p.first[i] = p.beta1 * p.first[i] + g;
      move = p.nesterov ? g + p.beta1 * p.first[i] : p.first[i];
    }
    p.parameter[i] -= p.rate * move;
  }
}

// torch.optim.RMSprop (Hinton 2012)
template <class T>
void rmsprop(const Update<T>& p, Index first, Index last) {
  for (Index i = first; i < last; ++i) {
    const T g = p.gradient[i] * p.scale + p.decay * p.parameter[i];
    p.second[i] = p.beta2 * p.second[i] + (1 - p.beta2) * (g * g);
    p.parameter[i] -= p.rate * (g / (__builtin_sqrt(p.second[i]) + p.epsilon));
  }
}

// torch.optim.Adam (Kingma & Ba 2015), and with `decoupled` torch.optim.AdamW (Loshchilov & Hutter 2019)
template <class T>
void adam(const Update<T>& p, Index first, Index last) {
  const T shrink = p.decoupled ? 1 - p.rate * p.decay : 1, decay = p.decoupled ? 0 : p.decay;
  const T step = p.rate / p.correction1, root = p.correction2;
  for (Index i = first; i < last; ++i) {
    const T before = p.parameter[i] * shrink;
    const T g = p.gradient[i] * p.scale + decay * before;
    const T m = p.first[i] + (1 - p.beta1) * (g - p.first[i]);
    const T v = p.beta2 * p.second[i] + (1 - p.beta2) * (g * g);
    p.first[i] = m;
    p.second[i] = v;
    p.parameter[i] = before - step * (m / (__builtin_sqrt(v) / root + p.epsilon));
  }
}

template <class T>
void update(const Update<T>& p, Index first, Index last) {
  switch (p.rule) {
    case kSgd: return sgd(p, first, last);
    case kRmsprop: return rmsprop(p, first, last);
    case kAdam: return adam(p, first, last);
  }
}

// The sum of x * x, eight sums side by side, which are then added as a tree.
template <class T>
double sum_of_squares(const T* x, Index first, Index last) {
  double sum[8] = {};
  Index i = first;
  for (; i + 8 <= last; i += 8) {
    for (int lane = 0; lane < 8; ++lane) sum[lane] += double(x[i + lane]) * double(x[i + lane]);
  }
  for (int lane = 0; i < last; ++i, ++lane) sum[lane] += double(x[i]) * double(x[i]);
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

}  // namespace
}  // namespace tidegate
