// Products cut into tasks for threads, and for the cache of a core. No sum depends on how they are cut.
#pragma once

#include "isa/dispatch.h"
#include "layer/batch.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {

// All rows of a product.
template <class T>
void multiply(const Linear<T>& whole, Index rows, int threads) {
  const Kernels<T>& k = kernels<T>();
  threads = worthwhile(rows * whole.K * whole.columns, threads);
  if (threads == 1) return k.linear(whole, 0, rows);
  // Whole groups of panels, so that a part is packed as it is within the whole.
  constexpr Index kPart = 16 * 4 * kPanel<T>;
  const Index parts = blocks(whole.columns, kPart);
  parallel(parts * blocks(rows, kLinearRows), threads, [&](Index task) {
    const Index column = task % parts * kPart, row = task / parts * kLinearRows;
    Linear<T> part = whole;
    part.w += column * whole.K;
    part.columns = std::min(whole.columns - column, kPart);
    if (part.bias) part.bias += column;
    part.y += column;
    k.linear(part, row, std::min(rows, row + kLinearRows));
  });
}

// Adds all tokens, to as many rows of the result at a time as stay in a cache.
template <class T>
void add_outer(const Outer<T>& whole, Index tokens, int threads) {
  constexpr Index kCached = (Index(96) << 10) / Index(sizeof(T));
  const Index rows = std::max<Index>(6, kCached / std::max<Index>(1, whole.columns) / 6 * 6);
  parallel(blocks(whole.rows_m, rows), worthwhile(tokens * whole.rows_m * whole.columns, threads), [&](Index task) {
    const Index m = task * rows;
    Outer<T> part = whole;
    part.a += m;
    part.rows_m = std::min(whole.rows_m - m, rows);
    part.out += m * whole.columns;
    if (part.column_sum) part.column_sum += m;
    kernels<T>().outer(part, 0, tokens, scratch<T>(outer_scratch<T>(part.columns)));
  });
}

}  // namespace tidegate
