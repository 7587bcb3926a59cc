// The vector vocabulary that every kernel is written in, one small file per ISA. Each defines, for float and double,
//   Vec<T>::kLanes, kRows (rows of a register tile) and a value type with
//   load, load(n), store, store(n)   the first n lanes; the rest read as zero and are not written
//   set, + - *, fma(a, b, c) = a * b + c, fnma(a, b, c) = c - a * b
//   max               the second argument where either is NaN
//   fraction_as_exponent(x)          the bits of x moved left by the width of its fraction
//   exponent(x), fraction(x)         of a positive normal x = fraction * 2^exponent, with 1 <= fraction < 2
//   where_greater(a, b, x, y)        a > b ? x : y, lane by lane
//   with_sign(magnitude, sign)
//   zip_low(a, b), zip_high(a, b)    lanes of a and b in turn, of their first halves and of their last; not of one lane
#pragma once

#include <type_traits>
#include <utility>

#include "tidegate.h"

#define TIDEGATE_INLINE inline __attribute__((always_inline))
#define TIDEGATE_NOINLINE __attribute__((noinline))
// Over the loops of a register tile: without it GCC 12 keeps a second copy of the tile on the stack.
#define TIDEGATE_UNROLL _Pragma("GCC unroll 8")

#if defined(TIDEGATE_SCALAR)
#include "isa/simd_scalar.h"
#elif defined(TIDEGATE_AVX2)
#include "isa/simd_avx2.h"
#elif defined(TIDEGATE_AVX512)
#include "isa/simd_avx512.h"
#elif defined(TIDEGATE_NEON)
#include "isa/simd_neon.h"
#else
#error "name an ISA: TIDEGATE_SCALAR, TIDEGATE_AVX2, TIDEGATE_AVX512 or TIDEGATE_NEON"
#endif

namespace tidegate {
namespace {

// R vectors that go through the same operations side by side. The functions of a gate are one long chain of dependent
// operations; a processor does not look far enough ahead to overlap chains that stand one after the other.
template <class T, int R>
struct Bundle {
  Vec<T> at[R];
  static TIDEGATE_INLINE Bundle set(T x) {
    return make([x](int) { return Vec<T>::set(x); });
  }
  template <class F>
  static TIDEGATE_INLINE Bundle make(F&& f) {
    return make(f, std::make_integer_sequence<int, R>());
  }
  template <class F>
  TIDEGATE_INLINE void each(F&& f) const {
    TIDEGATE_UNROLL
    for (int r = 0; r < R; ++r) f(r, at[r]);
  }

 private:
  template <class F, int... I>
  static TIDEGATE_INLINE Bundle make(F&& f, std::integer_sequence<int, I...>) {
    return {{f(I)...}};
  }
};

#define TIDEGATE_BUNDLE     \
  template <class T, int R> \
  TIDEGATE_INLINE Bundle<T, R>
#define TIDEGATE_IN const Bundle<T, R>&
#define TIDEGATE_EACH(expression) Bundle<T, R>::make([&](int r) { return expression; })
TIDEGATE_BUNDLE operator+(TIDEGATE_IN a, TIDEGATE_IN b) { return TIDEGATE_EACH(a.at[r] + b.at[r]); }
TIDEGATE_BUNDLE operator-(TIDEGATE_IN a, TIDEGATE_IN b) { return TIDEGATE_EACH(a.at[r] - b.at[r]); }
TIDEGATE_BUNDLE operator*(TIDEGATE_IN a, TIDEGATE_IN b) { return TIDEGATE_EACH(a.at[r] * b.at[r]); }
TIDEGATE_BUNDLE fma(TIDEGATE_IN a, TIDEGATE_IN b, TIDEGATE_IN c) {
  return TIDEGATE_EACH(fma(a.at[r], b.at[r], c.at[r]));
}
TIDEGATE_BUNDLE fnma(TIDEGATE_IN a, TIDEGATE_IN b, TIDEGATE_IN c) {
  return TIDEGATE_EACH(fnma(a.at[r], b.at[r], c.at[r]));
}
TIDEGATE_BUNDLE max(TIDEGATE_IN a, TIDEGATE_IN b) { return TIDEGATE_EACH(max(a.at[r], b.at[r])); }
TIDEGATE_BUNDLE where_greater(TIDEGATE_IN a, TIDEGATE_IN b, TIDEGATE_IN x, TIDEGATE_IN y) {
  return TIDEGATE_EACH(where_greater(a.at[r], b.at[r], x.at[r], y.at[r]));
}
TIDEGATE_BUNDLE with_sign(TIDEGATE_IN a, TIDEGATE_IN b) { return TIDEGATE_EACH(with_sign(a.at[r], b.at[r])); }
TIDEGATE_BUNDLE fraction_as_exponent(TIDEGATE_IN x) { return TIDEGATE_EACH(fraction_as_exponent(x.at[r])); }
TIDEGATE_BUNDLE exponent(TIDEGATE_IN x) { return TIDEGATE_EACH(exponent(x.at[r])); }
TIDEGATE_BUNDLE fraction(TIDEGATE_IN x) { return TIDEGATE_EACH(fraction(x.at[r])); }
#undef TIDEGATE_EACH
#undef TIDEGATE_IN
#undef TIDEGATE_BUNDLE

// The number type of a vector, or of a bundle of them.
template <class V>
struct ElementOf;
template <class T>
struct ElementOf<Vec<T>> {
  using Type = T;
};
template <class T, int R>
struct ElementOf<Bundle<T, R>> {
  using Type = T;
};

}  // namespace
}  // namespace tidegate
