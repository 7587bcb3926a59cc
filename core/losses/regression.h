// How far numbers are off: squared or absolute errors, and pinball losses of quantiles (Koenker & Bassett 1978).
#pragma once

#include "program/loss.h"

namespace tidegate {

template <class T>
class Regression final : public Loss<T> {
 public:
  // What is asked of one of the numbers that a sequence is answered with.
  enum Kind : int { kSquared, kAbsolute, kPinball };

  // All sequences have `numbers` answers, in the order in which the network gives them. An answer times scale plus
  // shift is compared with truth: all [B, numbers]. kind, level (of a quantile) and share (of the loss) are [numbers].
  Regression(Index numbers, const T* truth, const T* scale, const T* shift, const std::int32_t* kind,
             const double* level, const double* share, const double* weight)
      : numbers_(numbers),
        truth_(truth),
        scale_(scale),
        shift_(shift),
        kind_(kind),
        level_(level),
        share_(share),
        weight_(weight) {}

  void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
            double* losses) override;

 private:
  const Index numbers_;
  const T *const truth_, *const scale_, *const shift_;
  const std::int32_t* const kind_;
  const double *const level_, *const share_, *const weight_;
};

}  // namespace tidegate
