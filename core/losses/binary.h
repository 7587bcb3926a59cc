// Cross-entropy in nats of several answers of yes or no: each number that the last node gives is the score of one.
#pragma once

#include "program/loss.h"

namespace tidegate {

template <class T>
class BinaryCrossEntropy final : public Loss<T> {
 public:
  // truth [rows of all sequences, width], from 0 for no to 1 for yes, those of sequence b from row begin[b] on;
  // weight [B]. What is lost of a row is the sum over its numbers.
  BinaryCrossEntropy(const T* truth, const Index* begin, const double* weight)
      : truth_(truth), begin_(begin), weight_(weight) {}

  bool by_row() const override { return true; }
  void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
            double* losses) override;

 private:
  const T* const truth_;
  const Index* const begin_;
  const double* const weight_;
};

}  // namespace tidegate
