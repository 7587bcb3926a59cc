// exp, sigmoid and tanh on vectors: the same operations in the same order on every ISA, within 2 ULP of the true value
// (results below the smallest normal number are zero). NaN gives NaN, infinities saturate, tanh is odd to the bit.
#pragma once

#include "simd.h"

namespace tidegate {
namespace {

// expm1(r) = r + r * r * q(r) for |r| <= ln(2) / 2: minimax coefficients of q, constant term first.
template <class T>
struct Exponential;

template <>
struct Exponential<float> {
  static constexpr float kQ[] = {0.50000000584816246f, 0.16666545252301547f, 0.041666289765123228f,
                                 0.0083663740777501727f, 0.0013946050573086448f};
  static constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723e-6f;
  static constexpr float kSmallest = -87.33654f;  // exp of it is the smallest normal number
  static constexpr float kTanhIsOne = 40.0f;      // twice an argument whose tanh is 1
};

template <>
struct Exponential<double> {
  static constexpr double kQ[] = {0.49999999999999999988,     0.16666666666666675826,   0.041666666666666698741,
                                  0.00833333333332214887,     0.0013888888888867797363, 0.00019841269884956497977,
                                  0.000024801587359053077481, 2.7557245279363064075e-6, 2.7557243822303382567e-7,
                                  2.5108693909304208672e-8,   2.0924164093665323747e-9};
  static constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kSmallest = -708.396418532264106;
  static constexpr double kTanhIsOne = 80.0;
};

// exp(y) = scale * (1 + rest), with scale a power of two and rest = expm1 of the remainder.
template <class T>
struct Split {
  Vec<T> scale, rest;
};

template <class T>
TIDEGATE_INLINE Split<T> split_exp(Vec<T> y) {
  using E = Exponential<T>;
  using V = Vec<T>;
  constexpr int kLast = sizeof(E::kQ) / sizeof(E::kQ[0]) - 1;
  const V n = round(y * V::set(T(1.442695040888963407359924681)));
  const V r = fnma(n, V::set(E::kLn2Low), fnma(n, V::set(E::kLn2High), y));
  V q = V::set(E::kQ[kLast]);
  for (int i = kLast - 1; i >= 0; --i) q = fma(q, r, V::set(E::kQ[i]));
  return {pow2(n), fma(r * r, q, r)};
}

template <class T>
TIDEGATE_INLINE Vec<T> negative_magnitude(Vec<T> x) {
  return with_sign(x, Vec<T>::set(T(-1)));
}

// exp(x) for x <= 0: nothing here needs it for more, and so it cannot overflow.
template <class T>
TIDEGATE_INLINE Vec<T> exp_of_negative(Vec<T> x) {
  using V = Vec<T>;
  const V smallest = V::set(Exponential<T>::kSmallest);
  const Split<T> e = split_exp(max(smallest, x));
  return where_greater(smallest, x, V::set(T(0)), fma(e.rest, e.scale, e.scale));
}

template <class T>
TIDEGATE_INLINE Vec<T> sigmoid(Vec<T> x) {
  using V = Vec<T>;
  const V one = V::set(T(1));
  const V e = exp_of_negative(negative_magnitude(x));
  return where_greater(V::set(T(0)), x, e, one) / (one + e);
}

template <class T>
TIDEGATE_INLINE Vec<T> tanh(Vec<T> x) {
  using V = Vec<T>;
  const V magnitude = with_sign(x, V::set(T(1)));
  const Split<T> e = split_exp(min(V::set(Exponential<T>::kTanhIsOne), magnitude + magnitude));
  const V expm1 = fma(e.rest, e.scale, e.scale - V::set(T(1)));
  return with_sign(expm1 / (expm1 + V::set(T(2))), x);
}

template <class T>
TIDEGATE_INLINE Vec<T> relu(Vec<T> x) {
  return max(Vec<T>::set(T(0)), x);
}

template <class T, Activation A>
TIDEGATE_INLINE Vec<T> activation(Vec<T> x) {
  if constexpr (A == kRelu) return relu(x);
  if constexpr (A == kTanh) return tanh(x);
  if constexpr (A == kSigmoid) return sigmoid(x);
  return x;
}

}  // namespace
}  // namespace tidegate
