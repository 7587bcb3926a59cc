#include "losses/crf.h"

#include <cmath>

#include "isa/dispatch.h"

namespace tidegate {

template <class T>
void CrfLikelihood<T>::start(int lanes) {
  const Index K = node_.tags(), size = K * (K + 2);
  scores_.resize(size);
  factors_.resize(size + K * K);
  for (Index i = 0; i < size; ++i) scores_[i] = double(node_.scores()[i]) + penalty_[i];
  double *const factors = factors_.data(), *const scores = scores_.data();
  const auto exp = active_isa().crf->exp;
  const auto fill = [&](Index first, Index count) {
    const double peak = *std::max_element(scores + first, scores + first + count);
    exp(scores + first, count, peak, factors + first);
    return peak;
  };
  moves_peak_ = fill(0, K * K);
  start_peak_ = fill(K * K, K);
  end_peak_ = fill(K * K + K, K);
  for (Index i = 0; i < K; ++i) {
    for (Index j = 0; j < K; ++j) factors[size + j * K + i] = factors[i * K + j];
  }
  sums_.assign(lanes, {});
}

template <class T>
void CrfLikelihood<T>::open(Lane<T>& lane) {
  const Index size = node_.tags() * (node_.tags() + 2);
  sums_[lane.index] = {lane.kept.template zeros<double>(size), lane.kept.template zeros<double>(size)};
}

// The score of the true path; what it meets is counted, times the weight, among the moves.
template <class T>
double CrfLikelihood<T>::path_score(const double* emissions, const std::int64_t* tags, Index count, double weight,
                                    double* met) {
  const Index K = node_.tags();
  const auto meet = [&](Index at) {
    met[at] += weight;
    return scores_[at];
  };
  double score = count ? meet(K * K + tags[0]) + meet(K * K + K + tags[count - 1]) : 0;
  for (Index n = 0; n < count; ++n) {
    score += emissions[n * K + tags[n]];
    if (n > 0) score += meet(tags[n - 1] * K + tags[n]);
  }
  return score;
}

template <class T>
void CrfLikelihood<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index,
                            double* losses) {
  const Index K = node_.tags(), N = gave.N;
  Arena& arena = lane.arena;
  double* const emissions = arena.get<double>(N * K);
  double* const alpha = arena.get<double>(N * K);
  double* const marginals = arena.get<double>(N * K);
  double *const peak = arena.get<double>(N), *const sum = arena.get<double>(N);
  double *const last = arena.get<double>(count), *const weight = arena.get<double>(count);
  for (Index i = 0; i < N * K; ++i) emissions[i] = double(gave.rows[i]);
  const double* const factors = factors_.data();
  const Crf crf{K,     emissions, gave.offsets, factors, factors + K * (K + 2), factors + K * K, factors + K * K + K,
                halted};
  const CrfKernels& k = *active_isa().crf;
  k.forward({crf, alpha, peak, sum, last}, 0, count, scratch<double>(K));
  const Sums& sums = sums_[lane.index];
  gave.drows = arena.get<T>(N * K);
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i], begin = gave.offsets[i], end = gave.offsets[i + 1], rows = end - begin;
    weight[i] = weight_[b];
    double total = 0;
    if (rows) total = std::log(last[i]) + start_peak_ + end_peak_ + static_cast<double>(rows - 1) * moves_peak_;
    for (Index n = begin; n < end; ++n) total += peak[n] + std::log(sum[n]);
    losses[b] = total - path_score(emissions + begin * K, tags_ + begin_[b], rows, weight[i], sums.met);
  }
  double* const moved = sums.expected;
  k.backward({crf, alpha, weight, marginals, moved, moved + K * K, moved + K * K + K}, 0, count,
             scratch<double>(3 * K));
  for (Index i = 0; i < N * K; ++i) gave.drows[i] = static_cast<T>(marginals[i]);
  for (Index i = 0; i < count; ++i) {
    const std::int64_t* const tags = tags_ + begin_[sequences[i]];
    for (Index n = gave.offsets[i]; n < gave.offsets[i + 1]; ++n) {
      const Index at = n * K + tags[n - gave.offsets[i]];
      gave.drows[at] = static_cast<T>(marginals[at] - weight[i]);
    }
  }
}

template <class T>
void CrfLikelihood<T>::close(Lane<T>& lane) {
  const Index K = node_.tags(), size = K * (K + 2);
  const Sums& sums = sums_[lane.index];
  T* const gradient = lane.gradient + node_.offset;
  for (Index i = 0; i < size; ++i) {
    const double expected = i < K * K ? sums.expected[i] * factors_[i] : sums.expected[i];
    gradient[i] += static_cast<T>(expected - sums.met[i]);
  }
}

template class CrfLikelihood<float>;
template class CrfLikelihood<double>;

}  // namespace tidegate
