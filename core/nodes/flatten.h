// Images as sequences over one of their axes: the cells that lie across it are added, put side by side, or left out but
// for the last.
#pragma once

#include "program/node.h"

namespace tidegate {

enum class Flattening { kSum, kConcat, kLast };

template <class T>
class Flatten final : public Node<T> {
 public:
  // `along_y`: a step is a row of the image, else a column; `cells`: of a step that are put side by side, or 1.
  Flatten(bool along_y, Flattening mode, Index cells) : along_y_(along_y), mode_(mode), cells_(cells) {}

  void count(Extent& extent) const override { extent.rows = along_y_ ? extent.image.height : extent.image.width; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  // Calls f(first feature of a cell, that of where it goes to) for all cells that go anywhere, in the order of the sum.
  template <class F>
  void each_cell(const Flow<T>& read, const Flow<T>& gave, const F& f) const;

  const bool along_y_;
  const Flattening mode_;
  const Index cells_;
};

}  // namespace tidegate
