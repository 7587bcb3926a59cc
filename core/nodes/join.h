// The rows of several nodes side by side.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Join final : public Node<T> {
 public:
  explicit Join(std::size_t parts) : parts_(parts) {}

  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

 private:
  const std::size_t parts_;
};

}  // namespace tidegate
