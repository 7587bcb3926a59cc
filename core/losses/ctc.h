// How unlikely the label of each sequence is, in nats, over all paths that read as it (Graves et al. 2006).
#pragma once

#include "program/loss.h"

namespace tidegate {

template <class T>
class CtcLikelihood final : public Loss<T> {
 public:
  // labels [symbols of all sequences], those of sequence b from begins[b] on; weight [B].
  CtcLikelihood(const std::int32_t* labels, const Index* begins, const double* weight)
      : labels_(labels), begins_(begins), weight_(weight) {}

  void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
            double* losses) override;

 private:
  const std::int32_t* const labels_;
  const Index* const begins_;
  const double* const weight_;
};

}  // namespace tidegate
