// What is known of a sequence as a whole, added to the row that it has become: a sparse row times a matrix.
#pragma once

#include <vector>

#include "layer/sparse.h"
#include "program/node.h"

namespace tidegate {

template <class T>
class Wide final : public Node<T> {
 public:
  Wide(Index features, Index outputs) : features_(features), outputs_(outputs) {}

  Index features() const { return features_; }
  // The features of the batch that comes next; they stay where they are.
  void read(const Sparse<T>& rows) { rows_ = rows; }

  Index parameters() const override { return features_ * outputs_ + outputs_; }
  void pack(const T* parameters) override {
    own_.assign(parameters, parameters + this->parameters());
    w_ = own_.data();
  }
  void borrow(const Node<T>& other) override { w_ = static_cast<const Wide&>(other).w_; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  const Index features_, outputs_;
  std::vector<T> own_;
  const T* w_ = nullptr;  // [features, outputs], then the bias [outputs]
  Sparse<T> rows_{};
};

}  // namespace tidegate
