// Cells of a block of an image side by side, as one cell: zeros where the image has ended.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Fold final : public Node<T> {
 public:
  Fold(Index rows, Index columns) : rows_(rows), columns_(columns) {}

  void count(Extent& extent) const override {
    extent.image = folded(extent.image);
    extent.rows = extent.image.height * extent.image.width;
  }
  Index stride() const override { return rows_ * columns_; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  Image folded(const Image& image) const { return {blocks(image.height, rows_), blocks(image.width, columns_)}; }
  // Calls f(cell that is read, [C] of the block that it is put into, both as numbers of the first feature) for all.
  template <class F>
  void each_cell(const Flow<T>& read, const Flow<T>& gave, const F& f) const;

  const Index rows_, columns_;
};

}  // namespace tidegate
