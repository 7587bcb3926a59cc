// The rows of one side of pairs: of the source of each, or of its target.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Take final : public Node<T> {
 public:
  explicit Take(bool target) : target_(target) {}

  void count(Extent& extent) const override { extent.rows = target_ ? extent.rows - extent.source : extent.source; }
  bool takes_targets() const override { return target_; }
  bool takes_sources() const override { return !target_; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

 private:
  // Where its rows of pair b begin among all that it reads.
  Index begin(const Flow<T>& read, Index b) const { return read.offsets[b] + (target_ ? read.cut[b] : 0); }

  const bool target_;
};

}  // namespace tidegate
