#include "losses/cross_entropy.h"

#include <cmath>

#include "isa/dispatch.h"

namespace tidegate {

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
      const Index best = std::max_element(scores, scores + K) - scores;
      loss += double(scores[best]) - double(scores[label]) - std::log(double(d[best]));
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
