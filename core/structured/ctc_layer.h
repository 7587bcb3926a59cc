// Connectionist temporal classification over a ragged batch: cuts the work into tasks. Knows arrays in float64; shapes
// and symbols are checked by the caller.
#pragma once

#include "layer/layer.h"

namespace tidegate {

// Frames of sequences and their labels, as `Ctc` has them.
struct CtcBatch {
  Index N, B, K;
  const double* frames;        // [N, K] logarithms of probabilities
  const Index* offsets;        // [B + 1]
  const std::int32_t* labels;  // [M]
  const Index* begins;         // [B + 1]
  int threads;
};

// frames [N, K] of any scores [N, K]: the logarithms of their softmax.
void ctc_softmax(const double* scores, Index N, Index K, int threads, double* frames);

// total [B]: the log of the sum over all paths that read as the label; shares [N, K], or null.
Status ctc_totals(const CtcBatch& in, double* total, double* shares);

// states [N] of the best path of each sequence, and scores [B].
Status ctc_align(const CtcBatch& in, std::int32_t* states, double* scores);

}  // namespace tidegate
