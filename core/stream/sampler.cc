#include "stream/sampler.h"

#include <algorithm>
#include <numeric>

#include "isa/dispatch.h"
#include "layer/pack.h"
#include "machine/threads.h"

namespace tidegate {

namespace {

// Columns that one task scores: whole groups of panels, so that a part is packed as it is within the whole.
template <class T>
constexpr Index kPart = 16 * 4 * kPanel<T>;

}  // namespace

template <class T>
Sampler<T>::Sampler(Index K, Index columns, const T* w, const T* bias) : K_(K), columns_(columns) {
  const Index wide = padded<T>(columns);
  T* const memory = memory_.get<T>((K + 2) * wide + wide * sizeof(std::int32_t) / sizeof(T));
  w_ = memory;
  bias_ = w_ + K * wide;
  scores_ = bias_ + wide;
  order_ = reinterpret_cast<std::int32_t*>(scores_ + wide);
  pack_columns(w, K, columns, Index(1), K, w_);
  copy_or_zero(bias, columns, bias_);
}

template <class T>
void Sampler<T>::score(const T* x, int threads) {
  const Kernels<T>& k = kernels<T>();
  const Index parts = (columns_ + kPart<T> - 1) / kPart<T>;
  parallel(parts, worthwhile(K_ * columns_, threads), [&](Index part) {
    const Index column = part * kPart<T>, end = std::min(columns_, column + kPart<T>);
    Linear<T> run{};
    run.x = x;
    run.x_stride = run.K = K_;
    run.w = w_ + column * K_;
    run.columns = end - column;
    run.bias = bias_ + column;
    run.y = scores_ + column;
    run.y_stride = columns_;
    k.linear(run, 0, 1);
  });
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
  score(x, threads);
  if (sampling.temperature == 0) return std::max_element(scores_, scores_ + columns_) - scores_;
  const T scale = static_cast<T>(1 / sampling.temperature);
  if (scale != 1) {
    const T largest = *std::max_element(scores_, scores_ + columns_);
    for (Index i = 0; i < columns_; ++i) scores_[i] = (scores_[i] - largest) * scale;
  }
  kernels<T>().softmax(scores_, columns_, scores_, 0, 1);
  const Index most = sampling.top_k ? std::min(sampling.top_k, columns_) : columns_;
  if (most == columns_ && sampling.top_p >= 1) return draw(nullptr, columns_, u);
  std::iota(order_, order_ + columns_, 0);
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return scores_[a] > scores_[b] || (scores_[a] == scores_[b] && a < b);
  };
  std::partial_sort(order_, order_ + most, order_ + columns_, before);
  double sum = 0;
  for (Index i = 0; i < most; ++i) sum += scores_[order_[i]];
  Index count = 0;
  for (double reached = 0; count < most && (count == 0 || reached < sampling.top_p * sum); ++count) {
    reached += scores_[order_[count]];
  }
  return draw(order_, count, u);
}

template class Sampler<float>;
template class Sampler<double>;

}  // namespace tidegate
