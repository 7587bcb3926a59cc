// The vector vocabulary that every kernel is written in, one small file per ISA. Each defines, for float and double,
//   Vec<T>::kLanes, kRows (rows of a register tile) and a value type with
//   load, load(n), store, store(n)   the first n lanes; the rest read as zero and are not written
//   set, + - * /, fma(a, b, c) = a * b + c, fnma(a, b, c) = c - a * b
//   min, max          the second argument where either is NaN
//   round             to the nearest integer, ties to even
//   pow2(n)           2 to the integer n, for normal results
//   where_greater(a, b, x, y)        a > b ? x : y, lane by lane
//   with_sign(magnitude, sign)
#pragma once

#include "tidegate.h"

#define TIDEGATE_INLINE inline __attribute__((always_inline))
#define TIDEGATE_NOINLINE __attribute__((noinline))
// Over the loops of a register tile: without it GCC 12 keeps a second copy of the tile on the stack.
#define TIDEGATE_UNROLL _Pragma("GCC unroll 8")

#if defined(TIDEGATE_SCALAR)
#include "simd_scalar.h"
#elif defined(TIDEGATE_AVX2)
#include "simd_avx2.h"
#elif defined(TIDEGATE_AVX512)
#include "simd_avx512.h"
#elif defined(TIDEGATE_NEON)
#include "simd_neon.h"
#else
#error "name an ISA: TIDEGATE_SCALAR, TIDEGATE_AVX2, TIDEGATE_AVX512 or TIDEGATE_NEON"
#endif
