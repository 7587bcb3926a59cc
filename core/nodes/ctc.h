// Scores of the symbols of frames, for the loss and the decoders that read them; rows pass as they are.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class CtcNode final : public Node<T> {
 public:
  void* run(Lane<T>&, const Flow<T>& read, Flow<T>& gave) override {
    gave = read;
    return nullptr;
  }
  void back(Lane<T>&, Flow<T>& read, const Flow<T>& gave, void*) override { read.drows = gave.drows; }
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>&) override { return nullptr; }
};

}  // namespace tidegate
