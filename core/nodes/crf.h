// The parameters of a conditional random field, for the loss that reads them; rows pass as they are.
#pragma once

#include <vector>

#include "program/node.h"

namespace tidegate {

template <class T>
class CrfNode final : public Node<T> {
 public:
  explicit CrfNode(Index tags) : tags_(tags) {}

  Index tags() const { return tags_; }
  // Moves from a tag to the next [tags, tags], then what the first tag costs, then the last one.
  const T* scores() const { return scores_.data(); }

  Index parameters() const override { return tags_ * (tags_ + 2); }
  void pack(const T* parameters) override { scores_.assign(parameters, parameters + this->parameters()); }
  void* run(Lane<T>&, const Flow<T>& read, Flow<T>& gave) override {
    gave = read;
    return nullptr;
  }
  void back(Lane<T>&, Flow<T>& read, const Flow<T>& gave, void*) override { read.drows = gave.drows; }
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>&) override { return nullptr; }

 private:
  const Index tags_;
  std::vector<T> scores_;
};

}  // namespace tidegate
