// Sequences as images: a step is a column or a row, its features are the cells of that, one behind the other.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Unflatten final : public Node<T> {
 public:
  // `along_y`: a step is a row of the image, else a column; `cells`: of a step.
  Unflatten(bool along_y, Index cells) : along_y_(along_y), cells_(cells) {}

  void count(Extent& extent) const override {
    extent.image = image_of(extent.rows);
    extent.rows *= cells_;
  }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  Image image_of(Index steps) const { return along_y_ ? Image{steps, cells_} : Image{cells_, steps}; }
  // Calls f(first feature among those read, the same among those given) for each cell.
  template <class F>
  void each_cell(const Flow<T>& read, const Flow<T>& gave, const F& f) const;

  const bool along_y_;
  const Index cells_;
};

}  // namespace tidegate
