// exp, log, sigmoid and tanh on vectors: the same operations in the same order on every ISA, within 2 ULP of the true
// value (results below the smallest normal number are zero). NaN gives NaN, infinities saturate, tanh is odd to the
// bit.
#pragma once

#include "isa/simd.h"

namespace tidegate {
namespace {

// What exp and its kin need of a number type. expm1(r) = r + r * r * q(r) for |r| <= ln(2) / 2.
template <class T>
struct Exponential;

template <>
struct Exponential<float> {
  // Minimax coefficients of q, constant term first: within 2^-26 of expm1, relative to it.
  static constexpr float kQ[] = {0.49999997019767761f, 0.1666654646396637f, 0.041667435318231583f,
                                 0.0083662718534469604f, 0.0013870686525478959f};
  static constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723e-6f;
  static constexpr float kLeast = -88.0f;  // exp of it is taken as zero
  // Added to a number, it rounds it to an integer n whose lowest bits are n + 127.
  static constexpr float kRounder = 12582912.0f + 127.0f;  // 1.5 * 2^23
  static constexpr int kNewtonSteps = 0;                   // after the cubic one
};

template <>
struct Exponential<double> {
  static constexpr double kQ[] = {0.49999999999999999988,     0.16666666666666675826,   0.041666666666666698741,
                                  0.00833333333332214887,     0.0013888888888867797363, 0.00019841269884956497977,
                                  0.000024801587359053077481, 2.7557245279563064075e-6, 2.7557243822303382567e-7,
                                  2.5108693909304208672e-8,   2.0924164093665323747e-9};
  static constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kLeast = -709.0;
  static constexpr double kRounder = 6755399441055744.0 + 1023.0;  // 1.5 * 2^52
  static constexpr int kNewtonSteps = 1;
};

// All that follows is for a vector or a bundle of them.
template <class V>
using Element = typename ElementOf<V>::Type;

// exp(y) = scale * (1 + rest), with scale a power of two and rest = expm1 of the remainder.
template <class V>
struct Split {
  V scale, rest;
};

// For y <= 0; nothing here needs it for more, and so it cannot overflow. Below the smallest normal result, scale is 0.
template <class V>
TIDEGATE_INLINE Split<V> split_exp(const V& y) {
  using T = Element<V>;
  using E = Exponential<T>;
  constexpr int kLast = sizeof(E::kQ) / sizeof(E::kQ[0]) - 1;
  const V x = max(V::set(E::kLeast), y), rounder = V::set(E::kRounder);
  const V rounded = fma(x, V::set(T(1.442695040888963407359924681)), rounder), n = rounded - rounder;
  const V r = fnma(n, V::set(E::kLn2Low), fnma(n, V::set(E::kLn2High), x));
  V q = V::set(E::kQ[kLast]);
  for (int i = kLast - 1; i >= 0; --i) q = fma(q, r, V::set(E::kQ[i]));
  return {fraction_as_exponent(rounded), fma(r * r, q, r)};
}

template <class V>
TIDEGATE_INLINE V negative_magnitude(const V& x) {
  return with_sign(x, V::set(-1));
}

// exp(x) for x <= 0.
template <class V>
TIDEGATE_INLINE V exp_of_negative(const V& x) {
  const Split<V> e = split_exp(x);
  return fma(e.rest, e.scale, e.scale);
}

// part / (whole + part) for 0 <= part <= whole = 1 or for -1 <= part <= 0 and whole = 2, so that the divisor lies
// between 1 and 2. A division costs as much as twenty products, and products are all it takes: the start is the cubic
// nearest to 1 / d, its error 1 - d * start a Chebyshev polynomial of at most 1/577, which is then cubed; the quotient
// is corrected by what remains of `part`, and by what rounding took from the sum.
template <class V>
TIDEGATE_INLINE V share(const V& part, const V& whole) {
  using T = Element<V>;
  const V one = V::set(1), d = whole + part, lost = part - (d - whole);
  V inverse = fma(V::set(T(-128.0 / 577)), d, V::set(T(768.0 / 577)));
  inverse = fma(fma(inverse, d, V::set(T(-1696.0 / 577))), d, V::set(T(1632.0 / 577)));
  V error = fnma(inverse, d, one);
  inverse = fma(fma(error, error, error), inverse, inverse);
  for (int i = 0; i < Exponential<T>::kNewtonSteps; ++i) {
    error = fnma(inverse, d, one);
    inverse = fma(error, inverse, inverse);
  }
  const V quotient = part * inverse;
  return fma(fnma(quotient, lost, fnma(quotient, d, part)), inverse, quotient);
}

// With e = exp(-|x|): e / (1 + e) for a negative x, and what it lacks to 1 for a positive one.
template <class V>
TIDEGATE_INLINE V sigmoid(const V& x) {
  const V one = V::set(1), below = share(exp_of_negative(negative_magnitude(x)), one);
  return where_greater(V::set(0), x, below, one - below);
}

// With m = expm1(-2|x|): -m / (2 + m), with the sign of x.
template <class V>
TIDEGATE_INLINE V tanh(const V& x) {
  const V magnitude = negative_magnitude(x);
  const Split<V> e = split_exp(magnitude + magnitude);
  return with_sign(share(fma(e.rest, e.scale, e.scale - V::set(1)), V::set(2)), x);
}

// What log needs of a number type: log(1 + f) = f - f * f / 2 + f * f * f * q(f) for 1 / sqrt(2) <= 1 + f <= sqrt(2).
template <class T>
struct Logarithm;

template <>
struct Logarithm<float> {
  // Coefficients of q at the Chebyshev points, constant term first: within 2^-28 of log(1 + f), relative to it.
  static constexpr float kQ[] = {0.3333333134651184f,  -0.2499999701976776f,  0.20000715553760529f,
                                 -0.1666780263185501f, 0.14249058067798615f,  -0.12425687164068222f,
                                 0.11685419827699661f, -0.11479733884334564f, 0.06971611827611923f};
  static constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723e-6f;
  static constexpr float kSmallest = 1.17549435e-38f, kLargest = 3.40282347e38f;  // normal numbers
};

template <>
struct Logarithm<double> {
  static constexpr double kQ[] = {0.33333333333333333656,   -0.25000000000000037756,  0.19999999999999458845,
                                  -0.16666666666643223776,  0.14285714285850772575,   -0.12500000004323591583,
                                  0.11111111099840467623,   -0.099999996347807162502, 0.090909093716499852454,
                                  -0.083333500329535873462, 0.076923158900287482688,  -0.071424150395472020129,
                                  0.06666015356432270408,   -0.062567819457417654195, 0.05898528368226226095,
                                  -0.055007045724057428894, 0.050654096664845702788,  -0.051385304688066286595,
                                  0.059187907228572226807,  -0.053961619312197896253, 0.023264220927877087001};
  static constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kSmallest = 2.2250738585072014e-308, kLargest = 1.7976931348623157e308;
};

// log(x); -inf for zero and for what is below the smallest normal number, NaN for what is below zero.
template <class V>
TIDEGATE_INLINE V log(const V& x) {
  using T = Element<V>;
  using L = Logarithm<T>;
  constexpr int kLast = sizeof(L::kQ) / sizeof(L::kQ[0]) - 1;
  const V root = V::set(T(1.41421356237309504880)), one = V::set(1), half = V::set(T(0.5));
  const V m = fraction(x), e = exponent(x);
  const V f = where_greater(m, root, m * half, m) - one, n = where_greater(m, root, e + one, e);
  V q = V::set(L::kQ[kLast]);
  for (int i = kLast - 1; i >= 0; --i) q = fma(q, f, V::set(L::kQ[i]));
  const V square = f * f, rest = fnma(half, square, square * f * q);
  const V sum = fma(n, V::set(L::kLn2High), f + fma(n, V::set(L::kLn2Low), rest));
  const V number = where_greater(x, V::set(L::kLargest), V::set(T(__builtin_inf())), sum + (x - x));
  const V lowest = where_greater(V::set(0), x, V::set(T(__builtin_nan(""))), V::set(T(-__builtin_inf())));
  return where_greater(V::set(L::kSmallest), x, lowest, number);
}

// Adding zero flushes a denormal argument, as every other operation does.
template <class V>
TIDEGATE_INLINE V relu(const V& x) {
  const V zero = V::set(0);
  return max(zero, x) + zero;
}

}  // namespace
}  // namespace tidegate
