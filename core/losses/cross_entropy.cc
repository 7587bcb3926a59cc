#include "losses/cross_entropy.h"

#include <cmath>

#include "isa/dispatch.h"

namespace tidegate {

template <class T>
void CrossEntropy<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, double* losses) {
  const Index K = gave.width;
  gave.drows = lane.arena.template get<T>(gave.N * K);
  kernels<T>().softmax(gave.rows, K, gave.drows, 0, gave.N);
  const T* scores = gave.rows;
  T* d = gave.drows;
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i];
    const T weight = static_cast<T>(weight_[b]);
    double loss = 0;
    for (Index row = begin_[b]; row < begin_[b + 1]; ++row, scores += K, d += K) {
      const Index label = labels_[row];
      const Index best = std::max_element(scores, scores + K) - scores;
      loss += double(scores[best]) - double(scores[label]) - std::log(double(d[best]));
      d[label] -= 1;
      for (Index k = 0; k < K; ++k) d[k] *= weight;
    }
    losses[b] = loss;
  }
}

template class CrossEntropy<float>;
template class CrossEntropy<double>;

}  // namespace tidegate
