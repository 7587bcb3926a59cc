// Cuts weights in torch's layout into the panels that the kernels read. See tidegate.h for the packed layout.
#pragma once

#include <algorithm>

#include "isa/dispatch.h"
#include "layer/layer.h"

namespace tidegate {

// to[k][w][lane] = from[w][lane * column_stride + k * row_stride], zero from lane `full` on; one of the strides is 1.
template <class T>
void pack_group(const T* const* from, Index width, Index full, Index column_stride, Index row_stride, Index K, T* to) {
  if (row_stride == 1) {
    for (Index w = 0; w < width; ++w) {
      kernels<T>().pack_panel(from[w], column_stride, full, K, to + w * kPanel<T>, width * kPanel<T>);
    }
    return;
  }
  for (Index k = 0; k < K; ++k) {
    for (Index w = 0; w < width; ++w, to += kPanel<T>) {
      const T* const row = from[w] + k * row_stride;
      if (full == kPanel<T>) {
        std::copy_n(row, kPanel<T>, to);
      } else {
        std::fill(std::copy_n(row, full, to), to + kPanel<T>, T(0));
      }
    }
  }
}

// Packs the matrix whose entry (k, column) is w[k * row_stride + column * column_stride].
template <class T>
void pack_columns(const T* w, Index K, Index columns, Index row_stride, Index column_stride, T* to) {
  for (Index column = 0; column < columns;) {
    const Index width = group_width<T>(column, columns);
    const T* from[4];
    for (Index i = 0; i < width; ++i) from[i] = w + (column + i * kPanel<T>)*column_stride;
    pack_group(from, width, std::min(kPanel<T>, columns - column), column_stride, row_stride, K, to + column * K);
    column += width * kPanel<T>;
  }
}

// Packs w_hh [G*H, H] by unit: for each panel of units, the columns of all gates side by side.
template <class T>
void pack_units(const T* w_hh, Index G, Index H, T* to) {
  for (Index unit = 0; unit < H; unit += kPanel<T>) {
    const T* from[std::max(kMostGates, kGridGates)];
    for (Index gate = 0; gate < G; ++gate) from[gate] = w_hh + (gate * H + unit) * H;
    pack_group(from, G, std::min(kPanel<T>, H - unit), H, Index(1), H, to + unit * G * H);
  }
}

// Packs w_hh as the forward kernel of the cell reads it.
template <class T>
void pack_recurrent(Cell cell, const T* w_hh, Index H, T* to) {
  const int gates = kTraits[cell].gates;
  if (gates == 1) {
    pack_columns(w_hh, H, H, Index(1), H, to);
  } else {
    pack_units(w_hh, gates, H, to);
  }
}

template <class T>
void copy_or_zero(const T* from, Index n, T* to) {
  for (Index i = 0; i < n; ++i) to[i] = from ? from[i] : T(0);
}

// The recurrent bias that a gate keeps apart, or null.
template <class T>
const T* bias_apart(Cell cell, const Direction<T>& direction, Index H) {
  return direction.b_hh && kTraits[cell].one_apart() ? direction.b_hh + kTraits[cell].shared * H : nullptr;
}

// What every projected row starts from.
template <class T>
void add_biases(Cell cell, const Direction<T>& direction, Index H, T* bias) {
  const Index columns = kTraits[cell].gates * H, shared = kTraits[cell].shared * H;
  copy_or_zero(direction.b_ih, columns, bias);
  for (Index j = 0; direction.b_hh && j < shared; ++j) bias[j] += direction.b_hh[j];
}

}  // namespace tidegate
