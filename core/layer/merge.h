// How the directions of a layer become one row, and a gradient as many again.
#pragma once

#include "tidegate.h"

namespace tidegate {

enum class Merge { kConcat, kSum, kMul, kAve };

// h [rows, directions * H] -> merged [rows, H]; for all ways but kConcat.
template <class T>
void merge_directions(Merge how, const T* h, int directions, Index H, Index rows, T* merged) {
  for (Index n = 0; n < rows; ++n, h += directions * H, merged += H) {
    for (Index k = 0; k < H; ++k) {
      T one = h[k];
      for (int d = 1; d < directions; ++d) one = how == Merge::kMul ? one * h[d * H + k] : one + h[d * H + k];
      merged[k] = how == Merge::kAve ? one / T(directions) : one;
    }
  }
}

// dmerged [rows, H] -> dh [rows, directions * H]
template <class T>
void part_directions(Merge how, const T* h, const T* dmerged, int directions, Index H, Index rows, T* dh) {
  for (Index n = 0; n < rows; ++n, h += directions * H, dmerged += H, dh += directions * H) {
    for (Index k = 0; k < H; ++k) {
      const T whole = how == Merge::kAve ? dmerged[k] / T(directions) : dmerged[k];
      for (int d = 0; d < directions; ++d) {
        T part = whole;
        for (int other = 0; how == Merge::kMul && other < directions; ++other) {
          if (other != d) part *= h[other * H + k];
        }
        dh[d * H + k] = part;
      }
    }
  }
}

}  // namespace tidegate
