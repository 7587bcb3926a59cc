// Rows times a matrix, plus a bias, through an activation.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Dense final : public Node<T> {
 public:
  Dense(Index inputs, Index outputs, Activation activation)
      : inputs_(inputs), outputs_(outputs), activation_(activation) {}

  Index parameters() const override { return outputs_ * (inputs_ + 1); }
  void pack(const T* parameters) override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;

 private:
  const Index inputs_, outputs_;
  const Activation activation_;
  Arena arena_;
  T *forward_ = nullptr, *backward_ = nullptr;
  const T* bias_ = nullptr;
};

}  // namespace tidegate
