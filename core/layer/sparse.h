// Rows of which nearly all numbers are zero, times a matrix, and the way back. Each sum is taken in the order in which
// its numbers stand, whoever takes it.
#pragma once

#include "tidegate.h"

namespace tidegate {

template <class T>
struct Sparse {
  Index rows;
  const Index* offsets;     // [rows + 1]
  const std::int32_t* ids;  // [offsets[rows]] which column of the rows, which row of the matrix
  const T* values;          // [offsets[rows]]
};

// y [K] = bias + x[row] @ w, where w is [columns, K].
template <class T>
void sparse_row(const Sparse<T>& x, Index row, const T* w, const T* bias, Index K, T* y);

// y [rows, K] = bias + x @ w
template <class T>
void sparse_rows(const Sparse<T>& x, const T* w, const T* bias, Index K, int threads, T* y);

}  // namespace tidegate
