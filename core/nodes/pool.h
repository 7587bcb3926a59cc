// One row of each sequence: the first, the last, the mean, the largest of its rows, side by side.
#pragma once

#include <vector>

#include "nodes/recurrent.h"

namespace tidegate {

template <class T>
class Pooling final : public Node<T> {
 public:
  // `before`: the recurrent node right before, whose final states are what `last` is; null where there is none.
  Pooling(std::vector<PoolMode> modes, const Recurrent<T>* before) : modes_(std::move(modes)), before_(before) {}

  void count(Extent& extent) const override { extent.rows = extent.sequences; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

 private:
  Pool<T> pool(std::size_t mode, const Flow<T>& read, T* pooled) const;
  // The states of the last layer, both directions side by side, [B, directions * H].
  T* last_states(Arena& arena, const Flow<T>& read) const;

  const std::vector<PoolMode> modes_;
  const Recurrent<T>* const before_;
};

}  // namespace tidegate
