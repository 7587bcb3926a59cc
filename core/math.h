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
  static constexpr float kQ[] = {0.50000000134981779f,   0.16666666681659179f,   0.041666464602026542f,
                                 0.0083333108895820772f, 0.0013933685862617174f, 0.00019891030654370328f};
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

// a / d for d = a + b rounded, corrected for `lost`, what rounding took from d. `inverse` is near 1 / d.
template <class T>
TIDEGATE_INLINE Vec<T> corrected(Vec<T> quotient, Vec<T> a, Vec<T> d, Vec<T> lost, Vec<T> inverse) {
  return fma(fnma(quotient, lost, fnma(quotient, d, a)), inverse, quotient);
}

template <class T>
TIDEGATE_INLINE Vec<T> sigmoid(Vec<T> x) {
  using V = Vec<T>;
  const V one = V::set(T(1));
  const V e = exp_of_negative(negative_magnitude(x));
  const V d = e + one, quotient = e / d;
  const V below = corrected(quotient, e, d, e - (d - one), one - quotient);
  return where_greater(V::set(T(0)), x, below, one - below);
}

template <class T>
TIDEGATE_INLINE Vec<T> tanh(Vec<T> x) {
  using V = Vec<T>;
  const V half = V::set(T(0.5)), two = V::set(T(2));
  const V magnitude = with_sign(x, two);
  const Split<T> e = split_exp(min(V::set(Exponential<T>::kTanhIsOne), magnitude + magnitude));
  const V expm1 = fma(e.rest, e.scale, e.scale - V::set(T(1)));
  const V d = expm1 + two, quotient = expm1 / d;
  // From expm1 = 2 on the plain quotient is near enough, and what the sum lost could not be told this way.
  const V small = corrected(quotient, expm1, d, expm1 - (d - two), fnma(half, quotient, half));
  return with_sign(where_greater(two, expm1, small, quotient), x);
}

// Adding zero flushes a denormal argument, as every other operation does.
template <class T>
TIDEGATE_INLINE Vec<T> relu(Vec<T> x) {
  const Vec<T> zero = Vec<T>::set(T(0));
  return max(zero, x) + zero;
}

}  // namespace
}  // namespace tidegate
