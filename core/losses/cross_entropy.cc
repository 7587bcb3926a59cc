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

// Goes through the rows of a group. `lose_row` gets a row of all, its scores and its probabilities; it returns what is
// lost but for the part that all classes share, and takes the truth from the probabilities.
template <class T, class LoseRow>
void lose_rows(Lane<T>& lane, Flow<T>& gave, const Index* begins, const double* weights, const std::int32_t* sequences,
               Index count, Index first, double* losses, LoseRow lose_row) {
  const Index K = gave.width;
  gave.drows = lane.arena.template get<T>(gave.N * K);
  kernels<T>().softmax(gave.rows, K, gave.drows, 0, gave.N);
  const T* scores = gave.rows;
  T* d = gave.drows;
  Index begin = 0;  // of a sequence, within the group
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i], rows = begins[b + 1] - begins[b];
    const T weight = static_cast<T>(weights[b]);
    double loss = losses[b];
    const Index from = std::max(begin, first), end = std::min(begin + rows, first + gave.N);
    for (Index row = begins[b] + from - begin; row < begins[b] + end - begin; ++row, scores += K, d += K) {
      const double shared = std::log(double(largest(d, K)));
      loss += lose_row(row, scores, d, double(largest(scores, K))) - shared;
      for (Index k = 0; k < K; ++k) d[k] *= weight;
    }
    losses[b] = loss;
    begin += rows;
  }
}

}  // namespace

template <class T>
void CrossEntropy<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
                           double* losses) {
  const Index K = gave.width;
  const double rest = 1 - smoothing_;
  const T each = static_cast<T>(smoothing_ / static_cast<double>(K)), own = static_cast<T>(rest);
  const auto one = [this](Index row, const T* scores, T* d, double most) {
    const Index label = labels_[row];
    d[label] -= 1;
    return most - double(scores[label]);
  };
  const auto smooth = [this, K, rest, each, own](Index row, const T* scores, T* d, double most) {
    double sum = 0;
    for (Index k = 0; k < K; ++k) sum += double(scores[k]);
    for (Index k = 0; k < K; ++k) d[k] -= each;
    d[labels_[row]] -= own;
    return most - (rest * double(scores[labels_[row]]) + smoothing_ * (sum / static_cast<double>(K)));
  };
  if (smoothing_ == 0) return lose_rows(lane, gave, begin_, weight_, sequences, count, first, losses, one);
  lose_rows(lane, gave, begin_, weight_, sequences, count, first, losses, smooth);
}

template <class T>
void SoftCrossEntropy<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
                               double* losses) {
  const Index K = gave.width;
  lose_rows(lane, gave, begin_, weight_, sequences, count, first, losses,
            [this, K](Index row, const T* scores, T* d, double most) {
              const T* const truth = truth_ + row * K;
              double lost = 0;
              for (Index k = 0; k < K; ++k) {
                lost += double(truth[k]) * (most - double(scores[k]));
                d[k] -= truth[k];
              }
              return lost;
            });
}

template class CrossEntropy<float>;
template class CrossEntropy<double>;
template class SoftCrossEntropy<float>;
template class SoftCrossEntropy<double>;

}  // namespace tidegate
