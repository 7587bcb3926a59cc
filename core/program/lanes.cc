// What the lanes of a batch added up, as a tree; a part of it may be found elsewhere.
#include <algorithm>

#include "machine/denormals.h"
#include "machine/threads.h"
#include "program/program.h"
#include "program/sum.h"

namespace tidegate {
namespace {

constexpr Index kSummed = 4096;  // numbers of a gradient that a task adds up

}  // namespace

template <class T>
template <class F>
void Program<T>::each_sum(int first, int last, const F& f) {
  const Index size = dense_ + extras_;
  parallel(blocks(size, kSummed), common_.threads, [&](Index task) {
    const Index begin = task * kSummed, count = std::min(kSummed, size - begin);
    T* parts[kMostLanes];
    for (int lane = first; lane < last; ++lane) {
      parts[lane - first] = ran_[lane] ? lane_gradients_.data() + lane * size + begin : nullptr;
    }
    f(begin, sum_as_tree(parts, last - first, count), count);
  });
}

template <class T>
template <class F>
void Program<T>::each_touched(const F& f) const {
  if (table_) f(table_->touched);
  for (const auto& node : nodes_) {
    if (TouchedRows<T>* const rows = node->touched()) f(*rows);
  }
}

template <class T>
void Program<T>::add_lanes(T* gradient) {
  T* const dense = gradient + table_size();
  extra_sums_.resize(extras_);
  each_sum(0, common_.lanes, [&](Index begin, const T* sum, Index count) {
    for (Index i = 0; i < count; ++i) {
      T& to = begin + i < dense_ ? dense[begin + i] : extra_sums_[begin + i - dense_];
      to = sum ? sum[i] : T(0);
    }
  });
  finish(gradient);
}

template <class T>
void Program<T>::finish(T* gradient) {
  T* const dense = gradient + table_size();
  if (table_) table_->collect(gradient);
  for (const auto& node : nodes_) {
    node->finish(dense + node->offset, gradient, extra_sums_.data() + (node->extras_offset - dense_));
  }
}

template <class T>
Index Program<T>::summed() const {
  Index numbers = dense_ + extras_;
  each_touched([&](const TouchedRows<T>& rows) { numbers += rows.size(); });
  return numbers;
}

template <class T>
void Program<T>::sum_lanes(int first, int last, T* sum) {
  const FlushDenormals flush;
  each_sum(first, last, [&](Index begin, const T* found, Index count) {
    found ? std::copy_n(found, count, sum + begin) : std::fill_n(sum + begin, count, kNothing<T>);
  });
  T* to = sum + dense_ + extras_;
  each_touched([&](const TouchedRows<T>& rows) {
    rows.add_up(first, last, common_.threads, to);
    to += rows.size();
  });
}

template <class T>
void Program<T>::settle(const T* sum, int threads, T* gradient) {
  const FlushDenormals flush;
  common_.threads = threads;
  std::copy_n(sum, dense_, gradient + table_size());
  extra_sums_.assign(sum + dense_, sum + dense_ + extras_);
  const T* from = sum + dense_ + extras_;
  each_touched([&](TouchedRows<T>& rows) {
    rows.join(from);
    from += rows.size();
  });
  finish(gradient);
}

template void Program<float>::add_lanes(float*);
template Index Program<float>::summed() const;
template void Program<float>::sum_lanes(int, int, float*);
template void Program<float>::settle(const float*, int, float*);
template void Program<double>::add_lanes(double*);
template Index Program<double>::summed() const;
template void Program<double>::sum_lanes(int, int, double*);
template void Program<double>::settle(const double*, int, double*);

}  // namespace tidegate
