#include "layer/sparse.h"

#include <algorithm>

#include "layer/batch.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

constexpr Index kAtOnce = 256;  // rows of a task

}  // namespace

template <class T>
void sparse_row(const Sparse<T>& x, Index row, const T* w, const T* bias, Index K, T* y) {
  std::copy_n(bias, K, y);
  for (Index i = x.offsets[row]; i < x.offsets[row + 1]; ++i) {
    const T value = x.values[i];
    const T* const from = w + x.ids[i] * K;
    for (Index k = 0; k < K; ++k) y[k] += value * from[k];
  }
}

template <class T>
void sparse_rows(const Sparse<T>& x, const T* w, const T* bias, Index K, int threads, T* y) {
  parallel(blocks(x.rows, kAtOnce), worthwhile(x.offsets[x.rows] * K, threads), [&](Index task) {
    const Index end = std::min(x.rows, (task + 1) * kAtOnce);
    for (Index row = task * kAtOnce; row < end && !halted(); ++row) sparse_row(x, row, w, bias, K, y + row * K);
  });
}

template void sparse_row(const Sparse<float>&, Index, const float*, const float*, Index, float*);
template void sparse_row(const Sparse<double>&, Index, const double*, const double*, Index, double*);
template void sparse_rows(const Sparse<float>&, const float*, const float*, Index, int, float*);
template void sparse_rows(const Sparse<double>&, const double*, const double*, Index, int, double*);

}  // namespace tidegate
