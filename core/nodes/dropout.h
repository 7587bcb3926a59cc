// Features that are zero at random in training; with `per_sequence` the same ones at all rows of a sequence.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Dropout final : public Node<T> {
 public:
  Dropout(double p, bool per_sequence) : p_(p), per_sequence_(per_sequence) {}

  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>&) override { return nullptr; }

 private:
  void multiply(const Flow<T>& read, const T* from, T* to) const;

  const double p_;
  const bool per_sequence_;
};

}  // namespace tidegate
