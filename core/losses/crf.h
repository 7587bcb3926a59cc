// How unlikely the true tags of each sequence are, in nats, under a conditional random field (Lafferty et al. 2001).
#pragma once

#include <vector>

#include "nodes/crf.h"
#include "program/loss.h"

namespace tidegate {

template <class T>
class CrfLikelihood final : public Loss<T> {
 public:
  // tags [rows of all sequences], those of sequence b from begin[b] on; weight [B]; penalty [tags, tags + 2] is added
  // to the scores of the node.
  CrfLikelihood(const CrfNode<T>& node, const std::int64_t* tags, const Index* begin, const double* weight,
                const double* penalty)
      : node_(node), tags_(tags), begin_(begin), weight_(weight), penalty_(penalty) {}

  void start(int lanes) override;
  void open(Lane<T>& lane) override;
  void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
            double* losses) override;
  void close(Lane<T>& lane) override;

 private:
  double path_score(const double* emissions, const std::int64_t* tags, Index count, double weight, double* moved);

  const CrfNode<T>& node_;
  const std::int64_t* const tags_;
  const Index* const begin_;
  const double* const weight_;
  const double* const penalty_;
  std::vector<double> scores_;   // of the node, with the penalty: moves, start, end
  std::vector<double> factors_;  // exp of them, the largest of each kind taken off; then the moves turned
  double moves_peak_ = 0, start_peak_ = 0, end_peak_ = 0;
  struct Sums {
    double* expected;  // [tags, tags + 2] of all paths; moves still to be multiplied by their factors
    double* met;       // the same of the true paths
  };
  std::vector<Sums> sums_;  // [lanes]
};

}  // namespace tidegate
