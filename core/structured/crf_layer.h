// A conditional random field over a ragged batch: turns scores into factors, cuts the work into tasks, takes
// logarithms. Knows arrays in float64; shapes are checked by the caller.
#pragma once

#include "layer/layer.h"

namespace tidegate {

// Scores of tags and of moves between them; a path's score is the sum of what it meets.
struct CrfScores {
  Index N, B, K;
  const double* emissions;    // [N, K]
  const Index* offsets;       // [B + 1]
  const double* transitions;  // [K, K] from, to
  const double* start;        // [K]
  const double* end;          // [K]
  int threads;
};

// log_partition [B]: the log of the sum over all paths of exp(score), zero for a sequence of length zero.
Status crf_partition(const CrfScores& in, double* alpha, double* log_partition);

// The gradient of the sum of weight [B] * log_partition, given the alpha [N, K] of `crf_partition`: of the emissions
// [N, K], which with weights of one are the marginals; of transitions [K, K], start and end [K].
Status crf_gradient(const CrfScores& in, const double* alpha, const double* weight, double* demissions,
                    double* dtransitions, double* dstart, double* dend);

// tags [paths, N] and scores [B, paths] of the best paths, the best first.
Status crf_best_paths(const CrfScores& in, Index paths, std::int32_t* tags, double* scores);

}  // namespace tidegate
