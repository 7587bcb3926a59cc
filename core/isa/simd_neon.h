// The vector vocabulary in NEON (aarch64).
#pragma once

#include <arm_neon.h>

namespace tidegate {
namespace {

template <class T>
struct Vec;

// The first n of at most L numbers, through a small buffer: NEON has no masked loads.
template <class T, int L>
TIDEGATE_INLINE void copy_first(const T* from, Index n, T* to) {
  for (Index i = 0; i < L; ++i) {
    if (i < n) to[i] = from[i];
  }
}

template <>
struct Vec<float> {
  static constexpr int kLanes = 4;
  static constexpr int kRows = 6;
  float32x4_t v;

  static TIDEGATE_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
  static TIDEGATE_INLINE Vec load(const float* p, Index n) {
    float lanes[kLanes] = {};
    copy_first<float, kLanes>(p, n, lanes);
    return load(lanes);
  }
  static TIDEGATE_INLINE Vec set(float x) { return {vdupq_n_f32(x)}; }
  TIDEGATE_INLINE void store(float* p) const { vst1q_f32(p, v); }
  TIDEGATE_INLINE void store(float* p, Index n) const {
    float lanes[kLanes];
    store(lanes);
    copy_first<float, kLanes>(lanes, n, p);
  }
};

TIDEGATE_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) { return {vaddq_f32(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) { return {vsubq_f32(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) { return {vmulq_f32(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> where_greater(Vec<float> a, Vec<float> b, Vec<float> x, Vec<float> y) {
  return {vbslq_f32(vcgtq_f32(a.v, b.v), x.v, y.v)};
}
TIDEGATE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return where_greater(a, b, a, b); }
TIDEGATE_INLINE Vec<float> fraction_as_exponent(Vec<float> x) {
  return {vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(x.v), 23))};
}
TIDEGATE_INLINE Vec<float> exponent(Vec<float> x) {
  const int32x4_t shifted = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(x.v), 23));
  return {vcvtq_f32_s32(vsubq_s32(shifted, vdupq_n_s32(127)))};
}
TIDEGATE_INLINE Vec<float> fraction(Vec<float> x) {
  return {vbslq_f32(vdupq_n_u32(0x007fffffu), x.v, vdupq_n_f32(1.0f))};
}
TIDEGATE_INLINE Vec<float> with_sign(Vec<float> magnitude, Vec<float> sign) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
}
TIDEGATE_INLINE Vec<float> zip_low(Vec<float> a, Vec<float> b) { return {vzip1q_f32(a.v, b.v)}; }
TIDEGATE_INLINE Vec<float> zip_high(Vec<float> a, Vec<float> b) { return {vzip2q_f32(a.v, b.v)}; }

template <>
struct Vec<double> {
  static constexpr int kLanes = 2;
  static constexpr int kRows = 6;
  float64x2_t v;

  static TIDEGATE_INLINE Vec load(const double* p) { return {vld1q_f64(p)}; }
  static TIDEGATE_INLINE Vec load(const double* p, Index n) {
    double lanes[kLanes] = {};
    copy_first<double, kLanes>(p, n, lanes);
    return load(lanes);
  }
  static TIDEGATE_INLINE Vec set(double x) { return {vdupq_n_f64(x)}; }
  TIDEGATE_INLINE void store(double* p) const { vst1q_f64(p, v); }
  TIDEGATE_INLINE void store(double* p, Index n) const {
    double lanes[kLanes];
    store(lanes);
    copy_first<double, kLanes>(lanes, n, p);
  }
};

TIDEGATE_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) { return {vaddq_f64(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) { return {vsubq_f64(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) { return {vmulq_f64(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return {vfmaq_f64(c.v, a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) { return {vfmsq_f64(c.v, a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> where_greater(Vec<double> a, Vec<double> b, Vec<double> x, Vec<double> y) {
  return {vbslq_f64(vcgtq_f64(a.v, b.v), x.v, y.v)};
}
TIDEGATE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return where_greater(a, b, a, b); }
TIDEGATE_INLINE Vec<double> fraction_as_exponent(Vec<double> x) {
  return {vreinterpretq_f64_s64(vshlq_n_s64(vreinterpretq_s64_f64(x.v), 52))};
}
TIDEGATE_INLINE Vec<double> exponent(Vec<double> x) {
  const int64x2_t shifted = vreinterpretq_s64_u64(vshrq_n_u64(vreinterpretq_u64_f64(x.v), 52));
  return {vcvtq_f64_s64(vsubq_s64(shifted, vdupq_n_s64(1023)))};
}
TIDEGATE_INLINE Vec<double> fraction(Vec<double> x) {
  return {vbslq_f64(vdupq_n_u64(0x000fffffffffffffull), x.v, vdupq_n_f64(1.0))};
}
TIDEGATE_INLINE Vec<double> with_sign(Vec<double> magnitude, Vec<double> sign) {
  return {vbslq_f64(vdupq_n_u64(0x8000000000000000ull), sign.v, magnitude.v)};
}
TIDEGATE_INLINE Vec<double> zip_low(Vec<double> a, Vec<double> b) { return {vzip1q_f64(a.v, b.v)}; }
TIDEGATE_INLINE Vec<double> zip_high(Vec<double> a, Vec<double> b) { return {vzip2q_f64(a.v, b.v)}; }

}  // namespace
}  // namespace tidegate
