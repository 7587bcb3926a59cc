// The vector vocabulary with one lane, in plain C++: runs anywhere, and is the yardstick for the others.
#pragma once

namespace tidegate {
namespace {

template <class T>
struct Number;
template <>
struct Number<float> {
  using Bits = std::uint32_t;
  static constexpr int kFraction = 23, kBias = 127;
  static TIDEGATE_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static TIDEGATE_INLINE float with_sign(float a, float b) { return __builtin_copysignf(a, b); }
};
template <>
struct Number<double> {
  using Bits = std::uint64_t;
  static constexpr int kFraction = 52, kBias = 1023;
  static TIDEGATE_INLINE double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
  static TIDEGATE_INLINE double with_sign(double a, double b) { return __builtin_copysign(a, b); }
};

template <class T>
struct Vec {
  static constexpr int kLanes = 1;
  static constexpr int kRows = 3;
  T v;

  static TIDEGATE_INLINE Vec load(const T* p) { return {*p}; }
  static TIDEGATE_INLINE Vec load(const T* p, Index n) { return {n > 0 ? *p : T(0)}; }
  static TIDEGATE_INLINE Vec set(T x) { return {x}; }
  TIDEGATE_INLINE void store(T* p) const { *p = v; }
  TIDEGATE_INLINE void store(T* p, Index n) const {
    if (n > 0) *p = v;
  }
};

#define TIDEGATE_VEC \
  template <class T> \
  TIDEGATE_INLINE Vec<T>
TIDEGATE_VEC operator+(Vec<T> a, Vec<T> b) { return {a.v + b.v}; }
TIDEGATE_VEC operator-(Vec<T> a, Vec<T> b) { return {a.v - b.v}; }
TIDEGATE_VEC operator*(Vec<T> a, Vec<T> b) { return {a.v * b.v}; }
TIDEGATE_VEC fma(Vec<T> a, Vec<T> b, Vec<T> c) { return {Number<T>::fma(a.v, b.v, c.v)}; }
TIDEGATE_VEC fnma(Vec<T> a, Vec<T> b, Vec<T> c) { return {Number<T>::fma(-a.v, b.v, c.v)}; }
TIDEGATE_VEC max(Vec<T> a, Vec<T> b) { return {a.v > b.v ? a.v : b.v}; }
TIDEGATE_VEC where_greater(Vec<T> a, Vec<T> b, Vec<T> x, Vec<T> y) { return {a.v > b.v ? x.v : y.v}; }
TIDEGATE_VEC with_sign(Vec<T> magnitude, Vec<T> sign) { return {Number<T>::with_sign(magnitude.v, sign.v)}; }
TIDEGATE_VEC fraction_as_exponent(Vec<T> x) {
  typename Number<T>::Bits bits;
  __builtin_memcpy(&bits, &x.v, sizeof(bits));
  bits <<= Number<T>::kFraction;
  __builtin_memcpy(&x.v, &bits, sizeof(bits));
  return x;
}
TIDEGATE_VEC exponent(Vec<T> x) {
  typename Number<T>::Bits bits;
  __builtin_memcpy(&bits, &x.v, sizeof(bits));
  return {static_cast<T>(static_cast<int>(bits >> Number<T>::kFraction) - Number<T>::kBias)};
}
TIDEGATE_VEC fraction(Vec<T> x) {
  using Bits = typename Number<T>::Bits;
  constexpr Bits kOne = Bits(Number<T>::kBias) << Number<T>::kFraction;
  Bits bits;
  __builtin_memcpy(&bits, &x.v, sizeof(bits));
  bits = (bits & ((Bits(1) << Number<T>::kFraction) - 1)) | kOne;
  __builtin_memcpy(&x.v, &bits, sizeof(bits));
  return x;
}
#undef TIDEGATE_VEC

}  // namespace
}  // namespace tidegate
