// The second half of a training step: the length of a gradient, and what an optimiser makes of it.
#pragma once

#include "tidegate.h"

namespace tidegate {

// squares [count]: of each parameter, the sum of its gradient's squares; parameter p is begin[p] .. begin[p + 1] - 1.
template <class T>
void sums_of_squares(const T* gradient, const Index* begin, Index count, int threads, double* squares);

// Moves every parameter; decay [count] of each, the rest of `update` is common.
template <class T>
void update_all(const Update<T>& update, const Index* begin, const double* decay, Index count, int threads);

}  // namespace tidegate
