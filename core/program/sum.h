// The sum of what the lanes of a batch added up: a balanced binary tree, so that whoever takes a power of two of
// neighbouring lanes has a subtree of it.
#pragma once

#include "machine/workspace.h"

namespace tidegate {

// Where nothing was added up: added to any number, it changes no bit of it.
template <class T>
constexpr T kNothing = T(-0.0);

// Adds parts[0 .. count), each [width] or null for nothing, into one of them, and returns that; null where all are.
template <class T>
T* sum_as_tree(T* const* parts, int count, Index width) {
  if (count == 1) return parts[0];
  int half = 1;
  while (2 * half < count) half *= 2;
  T* const left = sum_as_tree(parts, half, width);
  T* const right = sum_as_tree(parts + half, count - half, width);
  if (!left || !right) return left ? left : right;
  for (Index k = 0; k < width; ++k) left[k] += right[k];
  return left;
}

}  // namespace tidegate
