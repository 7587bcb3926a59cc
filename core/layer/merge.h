// How the two directions of a layer become one row, and a gradient two again.
#pragma once

#include "tidegate.h"

namespace tidegate {

enum class Merge { kConcat, kSum, kMul, kAve };

// h [rows, 2 * H] -> merged [rows, H]; for all ways but kConcat.
template <class T>
void merge_directions(Merge how, const T* h, Index H, Index rows, T* merged) {
  for (Index n = 0; n < rows; ++n, h += 2 * H, merged += H) {
    for (Index k = 0; k < H; ++k) {
      const T a = h[k], b = h[H + k];
      merged[k] = how == Merge::kMul ? a * b : how == Merge::kSum ? a + b : (a + b) / 2;
    }
  }
}

// dmerged [rows, H] -> dh [rows, 2 * H]
template <class T>
void part_directions(Merge how, const T* h, const T* dmerged, Index H, Index rows, T* dh) {
  for (Index n = 0; n < rows; ++n, h += 2 * H, dmerged += H, dh += 2 * H) {
    for (Index k = 0; k < H; ++k) {
      const T d = how == Merge::kAve ? dmerged[k] / 2 : dmerged[k];
      dh[k] = how == Merge::kMul ? d * h[H + k] : d;
      dh[H + k] = how == Merge::kMul ? d * h[k] : d;
    }
  }
}

}  // namespace tidegate
