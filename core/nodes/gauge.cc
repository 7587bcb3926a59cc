#include "nodes/gauge.h"

#include <cmath>

#include "isa/dispatch.h"

namespace tidegate {

template <class T>
void Gauge<T>::watch(const Flat<T>* flat) {
  watching_ = flat != nullptr;
  if (flat) flat_ = *flat;
}

template <class T>
void Gauge<T>::begin(int lanes, std::size_t units) {
  if (!watching_) return;
  Health none;
  none.saturated.resize(units * traits_.gates);
  none.reach.resize(units);
  lanes_.assign(lanes, none);
}

template <class T>
void Gauge<T>::count(const Lane<T>& lane, int unit, const T* values, Index stride, Index N, Index H) {
  Health& health = lanes_[lane.index];
  if (unit == 0) health.values += N * H;
  if (!traits_.gated() && !traits_.bounded()) return;
  std::int64_t* const counts = health.saturated.data() + unit * traits_.gates;
  for (int gate = 0; gate < traits_.gates; ++gate) {
    const bool is_tanh = !traits_.gated() || traits_.ends_in_tanh(gate);
    const T low = is_tanh ? -flat_.steep : flat_.low, high = is_tanh ? flat_.steep : flat_.high;
    for (Index n = 0; n < N; ++n) {
      const T* const row = values + n * stride + gate * H;
      for (Index k = 0; k < H; ++k) counts[gate] += (row[k] < low) | (row[k] > high);
    }
  }
}

template <class T>
void Gauge<T>::reach(const Lane<T>& lane, int unit, const CellBackward<T>& walk, Index B) {
  const auto square = [&](const T* x) { return x ? kernels<T>().sum_of_squares(x, 0, walk.H) : 0.0; };
  for (Index b = 0; b < B; ++b) {
    const Index begin = walk.sequences.start[b], end = begin + walk.sequences.length[b];
    if (begin == end) continue;
    double near = square(walk.dhn ? walk.dhn + b * walk.H : nullptr);
    for (Index n = begin; n < end; ++n) near = std::max(near, square(walk.dh + n * walk.h_stride));
    const double far = square(walk.dh0 + b * walk.H) + square(walk.dc0 ? walk.dc0 + b * walk.H : nullptr);
    lanes_[lane.index].reach[unit].push_back(near > 0 ? std::sqrt(far / near) : 0.0);
  }
}

template <class T>
Health Gauge<T>::health() const {
  Health all;
  for (const Health& one : lanes_) {
    all.saturated.resize(one.saturated.size());
    all.reach.resize(one.reach.size());
    all.values += one.values;
    for (std::size_t i = 0; i < one.saturated.size(); ++i) all.saturated[i] += one.saturated[i];
    for (std::size_t i = 0; i < one.reach.size(); ++i) {
      all.reach[i].insert(all.reach[i].end(), one.reach[i].begin(), one.reach[i].end());
    }
  }
  return all;
}

template class Gauge<float>;
template class Gauge<double>;

}  // namespace tidegate
