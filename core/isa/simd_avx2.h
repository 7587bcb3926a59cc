// The vector vocabulary in AVX2 with FMA.
#pragma once

#include <immintrin.h>

namespace tidegate {
namespace {

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 8;
  static constexpr int kRows = 3;
  __m256 v;

  static TIDEGATE_INLINE __m256i first(Index n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static TIDEGATE_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static TIDEGATE_INLINE Vec load(const float* p, Index n) { return {_mm256_maskload_ps(p, first(n))}; }
  static TIDEGATE_INLINE Vec set(float x) { return {_mm256_set1_ps(x)}; }
  TIDEGATE_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  TIDEGATE_INLINE void store(float* p, Index n) const { _mm256_maskstore_ps(p, first(n), v); }
};

TIDEGATE_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm256_add_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) { return {_mm256_sub_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) { return {_mm256_mul_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
TIDEGATE_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
TIDEGATE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm256_max_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> fraction_as_exponent(Vec<float> x) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(x.v), 23))};
}
// The bits of 2^23 with an integer below it as fraction are the number 2^23 + that integer; likewise with 2^52.
TIDEGATE_INLINE Vec<float> exponent(Vec<float> x) {
  const __m256i shifted = _mm256_srli_epi32(_mm256_castps_si256(x.v), 23);
  const __m256i number = _mm256_or_si256(shifted, _mm256_castps_si256(_mm256_set1_ps(8388608.0f)));
  return {_mm256_sub_ps(_mm256_castsi256_ps(number), _mm256_set1_ps(8388608.0f + 127.0f))};
}
TIDEGATE_INLINE Vec<float> fraction(Vec<float> x) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff));
  return {_mm256_or_ps(_mm256_and_ps(x.v, mask), _mm256_set1_ps(1.0f))};
}
TIDEGATE_INLINE Vec<float> where_greater(Vec<float> a, Vec<float> b, Vec<float> x, Vec<float> y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}
TIDEGATE_INLINE Vec<float> with_sign(Vec<float> magnitude, Vec<float> sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.v), _mm256_and_ps(bit, sign.v))};
}
TIDEGATE_INLINE Vec<float> zip_low(Vec<float> a, Vec<float> b) {
  return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x20)};
}
TIDEGATE_INLINE Vec<float> zip_high(Vec<float> a, Vec<float> b) {
  return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x31)};
}

template <>
struct Vec<double> {
  static constexpr int kLanes = 4;
  static constexpr int kRows = 3;
  __m256d v;

  static TIDEGATE_INLINE __m256i first(Index n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static TIDEGATE_INLINE Vec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static TIDEGATE_INLINE Vec load(const double* p, Index n) { return {_mm256_maskload_pd(p, first(n))}; }
  static TIDEGATE_INLINE Vec set(double x) { return {_mm256_set1_pd(x)}; }
  TIDEGATE_INLINE void store(double* p) const { _mm256_storeu_pd(p, v); }
  TIDEGATE_INLINE void store(double* p, Index n) const { _mm256_maskstore_pd(p, first(n), v); }
};

TIDEGATE_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) { return {_mm256_add_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) { return {_mm256_sub_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) { return {_mm256_mul_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm256_fmadd_pd(a.v, b.v, c.v)};
}
TIDEGATE_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm256_fnmadd_pd(a.v, b.v, c.v)};
}
TIDEGATE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm256_max_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> fraction_as_exponent(Vec<double> x) {
  return {_mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(x.v), 52))};
}
TIDEGATE_INLINE Vec<double> exponent(Vec<double> x) {
  const __m256i shifted = _mm256_srli_epi64(_mm256_castpd_si256(x.v), 52);
  const __m256i number = _mm256_or_si256(shifted, _mm256_castpd_si256(_mm256_set1_pd(4503599627370496.0)));
  return {_mm256_sub_pd(_mm256_castsi256_pd(number), _mm256_set1_pd(4503599627370496.0 + 1023.0))};
}
TIDEGATE_INLINE Vec<double> fraction(Vec<double> x) {
  const __m256d mask = _mm256_castsi256_pd(_mm256_set1_epi64x(0x000fffffffffffff));
  return {_mm256_or_pd(_mm256_and_pd(x.v, mask), _mm256_set1_pd(1.0))};
}
TIDEGATE_INLINE Vec<double> where_greater(Vec<double> a, Vec<double> b, Vec<double> x, Vec<double> y) {
  return {_mm256_blendv_pd(y.v, x.v, _mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ))};
}
TIDEGATE_INLINE Vec<double> with_sign(Vec<double> magnitude, Vec<double> sign) {
  const __m256d bit = _mm256_set1_pd(-0.0);
  return {_mm256_or_pd(_mm256_andnot_pd(bit, magnitude.v), _mm256_and_pd(bit, sign.v))};
}
TIDEGATE_INLINE Vec<double> zip_low(Vec<double> a, Vec<double> b) {
  return {_mm256_permute2f128_pd(_mm256_unpacklo_pd(a.v, b.v), _mm256_unpackhi_pd(a.v, b.v), 0x20)};
}
TIDEGATE_INLINE Vec<double> zip_high(Vec<double> a, Vec<double> b) {
  return {_mm256_permute2f128_pd(_mm256_unpacklo_pd(a.v, b.v), _mm256_unpackhi_pd(a.v, b.v), 0x31)};
}

}  // namespace
}  // namespace tidegate
