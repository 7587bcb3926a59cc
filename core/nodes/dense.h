// Rows times a matrix, plus a bias, through an activation.
#pragma once

#include "nodes/product.h"

namespace tidegate {

template <class T>
class Dense final : public Node<T> {
 public:
  Dense(Index inputs, Index outputs, Activation activation)
      : inputs_(inputs), outputs_(outputs), activation_(activation), product_(inputs, outputs) {}

  Index parameters() const override { return outputs_ * (inputs_ + 1); }
  Index left_behind() const override { return 2 * outputs_; }
  bool by_row() const override { return true; }
  void pack(const T* parameters) override;
  void borrow(const Node<T>& other) override { product_.borrow(static_cast<const Dense&>(other).product_); }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override {
    plan.gave.features = outputs_;
    return std::make_unique<LiveProduct<T>>(product_, activation_);
  }

 private:
  const Index inputs_, outputs_;
  const Activation activation_;
  Product<T> product_;
};

}  // namespace tidegate
