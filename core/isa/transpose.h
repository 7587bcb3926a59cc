// Packs a panel of a matrix whose columns lie end to end: square blocks are turned in registers, so that each cache
// line is read once and written once.
#pragma once

#include "isa/gemm.h"

namespace tidegate {
namespace {

// What was lane k of vector i becomes lane i of vector k.
template <class T>
TIDEGATE_INLINE void transpose(Vec<T> (&block)[Vec<T>::kLanes]) {
  constexpr int kLanes = Vec<T>::kLanes;
  if constexpr (kLanes > 1) {
    _Pragma("GCC unroll 4") for (int stage = 1; stage < kLanes; stage *= 2) {
      Vec<T> next[kLanes];
      TIDEGATE_UNROLL
      for (int i = 0; i < kLanes / 2; ++i) {
        next[2 * i] = zip_low(block[i], block[i + kLanes / 2]);
        next[2 * i + 1] = zip_high(block[i], block[i + kLanes / 2]);
      }
      _Pragma("GCC unroll 16") for (int i = 0; i < kLanes; ++i) block[i] = next[i];
    }
  }
}

template <class T>
void pack_panel(const T* from, Index stride, Index columns, Index K, T* to, Index to_stride) {
  constexpr Index kLanes = Vec<T>::kLanes;
  for (Index k = 0; k < K; k += kLanes) {
    const Index rows = least(kLanes, K - k);
    for (Index lane = 0; lane < kPanel<T>; lane += kLanes) {
      Vec<T> block[kLanes];
      const T* const at = from + lane * stride + k;
      _Pragma("GCC unroll 16") for (Index i = 0; i < kLanes; ++i) {
        block[i] = lane + i >= columns ? Vec<T>::set(T(0))
                   : rows == kLanes    ? Vec<T>::load(at + i * stride)
                                       : Vec<T>::load(at + i * stride, rows);
      }
      transpose<T>(block);
      T* const out = to + k * to_stride + lane;
      _Pragma("GCC unroll 16") for (Index i = 0; i < kLanes; ++i) {
        if (i < rows) block[i].store(out + i * to_stride);
      }
    }
  }
}

}  // namespace
}  // namespace tidegate
