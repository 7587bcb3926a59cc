// The vector vocabulary in AVX-512 (F and DQ).
#pragma once

#include <immintrin.h>

namespace tidegate {
namespace {

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 16;
  static constexpr int kRows = 6;
  __m512 v;

  static TIDEGATE_INLINE __mmask16 first(Index n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static TIDEGATE_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static TIDEGATE_INLINE Vec load(const float* p, Index n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  static TIDEGATE_INLINE Vec set(float x) { return {_mm512_set1_ps(x)}; }
  TIDEGATE_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  TIDEGATE_INLINE void store(float* p, Index n) const { _mm512_mask_storeu_ps(p, first(n), v); }
};

TIDEGATE_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm512_add_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) { return {_mm512_sub_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) { return {_mm512_mul_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TIDEGATE_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
TIDEGATE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm512_max_ps(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> fraction_as_exponent(Vec<float> x) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(x.v), 23))};
}
TIDEGATE_INLINE Vec<float> exponent(Vec<float> x) { return {_mm512_getexp_ps(x.v)}; }
TIDEGATE_INLINE Vec<float> fraction(Vec<float> x) {
  return {_mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero)};
}
TIDEGATE_INLINE Vec<float> where_greater(Vec<float> a, Vec<float> b, Vec<float> x, Vec<float> y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
TIDEGATE_INLINE Vec<float> with_sign(Vec<float> magnitude, Vec<float> sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
TIDEGATE_INLINE Vec<float> zip_low(Vec<float> a, Vec<float> b) {
  const __m512i lanes = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return {_mm512_permutex2var_ps(a.v, lanes, b.v)};
}
TIDEGATE_INLINE Vec<float> zip_high(Vec<float> a, Vec<float> b) {
  const __m512i lanes = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return {_mm512_permutex2var_ps(a.v, lanes, b.v)};
}

template <>
struct Vec<double> {
  static constexpr int kLanes = 8;
  static constexpr int kRows = 6;
  __m512d v;

  static TIDEGATE_INLINE __mmask8 first(Index n) { return static_cast<__mmask8>((1u << n) - 1u); }
  static TIDEGATE_INLINE Vec load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static TIDEGATE_INLINE Vec load(const double* p, Index n) { return {_mm512_maskz_loadu_pd(first(n), p)}; }
  static TIDEGATE_INLINE Vec set(double x) { return {_mm512_set1_pd(x)}; }
  TIDEGATE_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
  TIDEGATE_INLINE void store(double* p, Index n) const { _mm512_mask_storeu_pd(p, first(n), v); }
};

TIDEGATE_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) { return {_mm512_add_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) { return {_mm512_sub_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) { return {_mm512_mul_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
TIDEGATE_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fnmadd_pd(a.v, b.v, c.v)};
}
TIDEGATE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm512_max_pd(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> fraction_as_exponent(Vec<double> x) {
  return {_mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(x.v), 52))};
}
TIDEGATE_INLINE Vec<double> exponent(Vec<double> x) { return {_mm512_getexp_pd(x.v)}; }
TIDEGATE_INLINE Vec<double> fraction(Vec<double> x) {
  return {_mm512_getmant_pd(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero)};
}
TIDEGATE_INLINE Vec<double> where_greater(Vec<double> a, Vec<double> b, Vec<double> x, Vec<double> y) {
  return {_mm512_mask_blend_pd(_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
TIDEGATE_INLINE Vec<double> with_sign(Vec<double> magnitude, Vec<double> sign) {
  const __m512d bit = _mm512_set1_pd(-0.0);
  return {_mm512_or_pd(_mm512_andnot_pd(bit, magnitude.v), _mm512_and_pd(bit, sign.v))};
}
TIDEGATE_INLINE Vec<double> zip_low(Vec<double> a, Vec<double> b) {
  return {_mm512_permutex2var_pd(a.v, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b.v)};
}
TIDEGATE_INLINE Vec<double> zip_high(Vec<double> a, Vec<double> b) {
  return {_mm512_permutex2var_pd(a.v, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b.v)};
}

}  // namespace
}  // namespace tidegate
