#include "losses/binary.h"

#include <algorithm>
#include <cmath>

#include "isa/dispatch.h"

namespace tidegate {

template <class T>
void BinaryCrossEntropy<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
                                 double* losses) {
  const Index K = gave.width, numbers = gave.N * K;
  gave.drows = lane.arena.template get<T>(numbers);
  T* const pairs = lane.arena.template get<T>(2 * numbers);  // a score beside zero: their softmax is the sigmoid
  for (Index i = 0; i < numbers; ++i) {
    pairs[2 * i] = gave.rows[i];
    pairs[2 * i + 1] = 0;
  }
  T* const likely = lane.arena.template get<T>(2 * numbers);
  kernels<T>().softmax(pairs, 2, likely, 0, numbers);
  Index begin = 0, at = 0;  // of a sequence, within the group; of a number, within the part
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i], rows = begin_[b + 1] - begin_[b];
    const T weight = static_cast<T>(weight_[b]);
    double loss = losses[b];
    const Index from = std::max(begin, first), end = std::min(begin + rows, first + gave.N);
    for (Index row = begin_[b] + from - begin; row < begin_[b] + end - begin; ++row) {
      for (Index k = 0; k < K; ++k, ++at) {
        const T truth = truth_[row * K + k], yes = likely[2 * at], no = likely[2 * at + 1];
        const double score = double(gave.rows[at]);
        loss += std::max(score, 0.0) - double(truth) * score - std::log(double(std::max(yes, no)));
        gave.drows[at] = (yes - truth) * weight;
      }
    }
    losses[b] = loss;
    begin += rows;
  }
}

template class BinaryCrossEntropy<float>;
template class BinaryCrossEntropy<double>;

}  // namespace tidegate
