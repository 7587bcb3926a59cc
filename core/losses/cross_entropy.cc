#include "losses/cross_entropy.h"

#include <cmath>

#include "isa/dispatch.h"

namespace tidegate {
namespace {

// The largest of n numbers, many at a time.
template <class T>
T largest(const T* x, Index n) {
  constexpr Index kAtOnce = 16;
  T most[kAtOnce];
  for (Index i = 0; i < kAtOnce; ++i) most[i] = x[i < n ? i : 0];
  Index k = 0;
  for (; k + kAtOnce <= n; k += kAtOnce) {
    for (Index i = 0; i < kAtOnce; ++i) most[i] = x[k + i] <= most[i] ? most[i] : x[k + i];
  }
  for (; k < n; ++k) most[0] = x[k] <= most[0] ? most[0] : x[k];
  for (Index i = 1; i < kAtOnce; ++i) most[0] = most[i] <= most[0] ? most[0] : most[i];
  return most[0];
}

}  // namespace

template <class T>
void CrossEntropy<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
                           double* losses) {
  const Index K = gave.width;
  gave.drows = lane.arena.template get<T>(gave.N * K);
  kernels<T>().softmax(gave.rows, K, gave.drows, 0, gave.N);
  const T* scores = gave.rows;
  T* d = gave.drows;
  Index begin = 0;  // of a sequence, within the group
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i], rows = begin_[b + 1] - begin_[b];
    const T weight = static_cast<T>(weight_[b]);
    double loss = losses[b];
    const Index from = std::max(begin, first), end = std::min(begin + rows, first + gave.N);
    for (Index row = begin_[b] + from - begin; row < begin_[b] + end - begin; ++row, scores += K, d += K) {
      const Index label = labels_[row];
      loss += double(largest(scores, K)) - double(scores[label]) - std::log(double(largest(d, K)));
      d[label] -= 1;
      for (Index k = 0; k < K; ++k) d[k] *= weight;
    }
    losses[b] = loss;
    begin += rows;
  }
}

template class CrossEntropy<float>;
template class CrossEntropy<double>;

}  // namespace tidegate
