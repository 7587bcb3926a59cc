// Cells of grids over images, in 1, 2 or 4 directions, diagonal by diagonal.
#pragma once

#include "grid/layer.h"
#include "layer/merge.h"
#include "program/node.h"

namespace tidegate {

template <class T>
class Waves final : public Node<T> {
 public:
  Waves(const GridOptions& options, Merge merge) : layer_(options), merge_(merge) {}

  Index parameters() const override { return layer_.parameters(); }
  Index left_behind() const override;
  Index stepped() const override { return 2 * kGridGates * layer_.options().H * layer_.options().H; }
  void pack(const T* parameters) override;
  void borrow(const Node<T>& other) override { layer_.borrow(static_cast<const Waves&>(other).layer_); }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  struct Run;
  bool merges() const { return merge_ != Merge::kConcat && layer_.options().directions > 1; }

  Arena packed_;
  GridLayer<T> layer_;
  const Merge merge_;
};

}  // namespace tidegate
