// The rows of several nodes side by side.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Join final : public Node<T> {
 public:
  // `width`: features of all parts.
  Join(std::size_t parts, Index width) : parts_(parts), width_(width) {}

  Index left_behind() const override { return 2 * width_; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

 private:
  const std::size_t parts_;
  const Index width_;
};

}  // namespace tidegate
