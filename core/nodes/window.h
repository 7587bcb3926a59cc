// Rows side by side: so many that follow each other become one, every so many steps.
#pragma once

#include "nodes/frames.h"

namespace tidegate {

template <class T>
class Window final : public Node<T> {
 public:
  Window(Index width, Index stride) : frames_{width, stride} {}

  void count(Extent& extent) const override { frames_.count(extent); }
  Index stride() const override { return frames_.stride; }
  bool withholds() const override { return frames_.width > 1; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

 private:
  const Frames frames_;
};

}  // namespace tidegate
