// A sequence of each channel: a row holds the features of every channel in turn, then those that all of them are given.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Split final : public Node<T> {
 public:
  Split(Index channels, Index size, Index shared) : channels_(channels), size_(size), shared_(shared) {}

  void count(Extent& extent) const override {
    extent.sequences *= channels_;
    extent.rows *= channels_;
  }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  const Index channels_, size_, shared_;
};

}  // namespace tidegate
