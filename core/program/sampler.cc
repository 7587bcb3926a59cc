#include "program/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "isa/dispatch.h"
#include "machine/denormals.h"

namespace tidegate {

namespace {

template <class T>
Index draw(const T* shares, const std::int32_t* tokens, Index count, double u) {
  double sum = 0;
  for (Index i = 0; i < count; ++i) sum += shares[tokens ? tokens[i] : i];
  const double wanted = u * sum;
  double reached = 0;
  Index last = tokens ? tokens[0] : 0;
  for (Index i = 0; i < count; ++i) {
    const Index token = tokens ? tokens[i] : i;
    if (shares[token] == 0) continue;
    last = token;
    reached += shares[token];
    if (reached > wanted) break;
  }
  return last;
}

}  // namespace

template <class T>
Index choose_scored(T* scores, Index count, const Sampling& sampling, double u, std::int32_t* order) {
  const FlushDenormals flush;
  const T scale = static_cast<T>(1 / sampling.temperature), barred = -std::numeric_limits<T>::infinity();
  if (!std::isfinite(scale)) return std::max_element(scores, scores + count) - scores;
  if (scale != 1) {
    const T largest = *std::max_element(scores, scores + count);
    for (Index i = 0; i < count; ++i) scores[i] = scores[i] == barred ? barred : (scores[i] - largest) * scale;
  }
  kernels<T>().softmax(scores, count, scores, 0, 1);
  const Index most = sampling.top_k ? std::min(sampling.top_k, count) : count;
  if (most == count && sampling.top_p >= 1) return draw(scores, nullptr, count, u);
  std::iota(order, order + count, 0);
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
  };
  std::partial_sort(order, order + most, order + count, before);
  double sum = 0;
  for (Index i = 0; i < most; ++i) sum += scores[order[i]];
  Index kept = 0;
  for (double reached = 0; kept < most && (kept == 0 || reached < sampling.top_p * sum); ++kept) {
    reached += scores[order[kept]];
  }
  return draw(scores, order, kept, u);
}

template <class T>
Sampler<T>::Sampler(Index K, Index columns, const T* w, const T* bias)
    : K_(K), columns_(columns), product_(K, columns), bias_(columns), scores_(columns), order_(columns) {
  copy_or_zero(bias, columns, bias_.data());
  product_.pack(w, bias_.data(), false);
}

template <class T>
Index Sampler<T>::choose(const T* x, const Sampling& sampling, double u, int threads) {
  const FlushDenormals flush;
  product_.run(x, 1, kIdentity, scores_.data(), threads);
  return choose_scored(scores_.data(), columns_, sampling, u, order_.data());
}

template Index choose_scored(float*, Index, const Sampling&, double, std::int32_t*);
template Index choose_scored(double*, Index, const Sampling&, double, std::int32_t*);
template class Sampler<float>;
template class Sampler<double>;

}  // namespace tidegate
