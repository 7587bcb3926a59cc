// Goes on from the states that the recurrent node before it ended in, all steps at once: each is one step of that
// node's own cells, its input an embedding of the step and of the channel (SegRNN, Lin et al. 2023, section 3.3).
#pragma once

#include "nodes/recurrent.h"

namespace tidegate {

template <class T>
class Decode final : public Node<T> {
 public:
  Decode(Index steps, Index channels, Index size, Recurrent<T>* before)
      : steps_(steps), channels_(channels), size_(size), of_channel_(channels > 1 ? size / 2 : 0), before_(before) {}

  Index parameters() const override { return steps_ * (size_ - of_channel_) + channels_ * of_channel_; }
  void count(Extent& extent) const override { extent.rows = extent.sequences * steps_; }
  void pack(const T* parameters) override {
    own_.assign(parameters, parameters + this->parameters());
    parameters_ = own_.data();
  }
  void borrow(const Node<T>& other) override { parameters_ = static_cast<const Decode&>(other).parameters_; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  struct Run;

  const Index steps_, channels_, size_, of_channel_;
  Recurrent<T>* const before_;
  std::vector<T> own_;
  const T* parameters_ = nullptr;
};

}  // namespace tidegate
