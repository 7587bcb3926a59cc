#include "program/sampler.h"

#include <algorithm>
#include <numeric>

#include "machine/denormals.h"

namespace tidegate {

template <class T>
Sampler<T>::Sampler(Index K, Index columns, const T* w, const T* bias)
    : K_(K), columns_(columns), product_(K, columns), bias_(columns), scores_(columns), order_(columns) {
  copy_or_zero(bias, columns, bias_.data());
  product_.pack(w, bias_.data(), false);
}

template <class T>
Index Sampler<T>::draw(const std::int32_t* tokens, Index count, double u) const {
  double sum = 0;
  for (Index i = 0; i < count; ++i) sum += scores_[tokens ? tokens[i] : i];
  const double wanted = u * sum;
  double reached = 0;
  Index last = tokens ? tokens[0] : 0;
  for (Index i = 0; i < count; ++i) {
    const Index token = tokens ? tokens[i] : i;
    if (scores_[token] == 0) continue;
    last = token;
    reached += scores_[token];
    if (reached > wanted) break;
  }
  return last;
}

template <class T>
Index Sampler<T>::choose(const T* x, const Sampling& sampling, double u, int threads) {
  const FlushDenormals flush;
  product_.run(x, 1, kIdentity, scores_.data(), threads);
  if (sampling.temperature == 0) return std::max_element(scores_.begin(), scores_.end()) - scores_.begin();
  const T scale = static_cast<T>(1 / sampling.temperature);
  if (scale != 1) {
    const T largest = *std::max_element(scores_.begin(), scores_.end());
    for (Index i = 0; i < columns_; ++i) scores_[i] = (scores_[i] - largest) * scale;
  }
  kernels<T>().softmax(scores_.data(), columns_, scores_.data(), 0, 1);
  const Index most = sampling.top_k ? std::min(sampling.top_k, columns_) : columns_;
  if (most == columns_ && sampling.top_p >= 1) return draw(nullptr, columns_, u);
  std::iota(order_.begin(), order_.end(), 0);
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return scores_[a] > scores_[b] || (scores_[a] == scores_[b] && a < b);
  };
  std::partial_sort(order_.begin(), order_.begin() + most, order_.end(), before);
  double sum = 0;
  for (Index i = 0; i < most; ++i) sum += scores_[order_[i]];
  Index count = 0;
  for (double reached = 0; count < most && (count == 0 || reached < sampling.top_p * sum); ++count) {
    reached += scores_[order_[count]];
  }
  return draw(order_.data(), count, u);
}

template class Sampler<float>;
template class Sampler<double>;

}  // namespace tidegate
