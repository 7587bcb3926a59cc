// Cross-entropy in nats between what the last node scores and the class that each row is of, or is likely to be of.
#pragma once

#include "program/loss.h"

namespace tidegate {

template <class T>
class CrossEntropy final : public Loss<T> {
 public:
  // labels [rows of all sequences], those of sequence b from begin[b] on; weight [B]. `smoothing` is the share of the
  // truth that all classes have alike (Szegedy et al. 2016).
  CrossEntropy(const std::int64_t* labels, const Index* begin, const double* weight, double smoothing)
      : labels_(labels), begin_(begin), weight_(weight), smoothing_(smoothing) {}

  bool by_row() const override { return true; }
  void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
            double* losses) override;

 private:
  const std::int64_t* const labels_;
  const Index* const begin_;
  const double* const weight_;
  const double smoothing_;
};

template <class T>
class SoftCrossEntropy final : public Loss<T> {
 public:
  // truth [rows of all sequences, K], how likely each class is: a row adds up to one. begin and weight as above.
  SoftCrossEntropy(const T* truth, const Index* begin, const double* weight)
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
