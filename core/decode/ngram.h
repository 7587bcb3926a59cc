// An n-gram model with back-off: how probable a token is after those before it. Knows ids alone.
#pragma once

#include <vector>

#include "tidegate.h"

namespace tidegate {

// The n-grams of each length, shortest first, as a tree: those of one length in the order of the n-gram one shorter
// that they go on from, then of their last id. The single ids are all there, in order; 0 stands for whatever is
// unknown.
struct NGramArrays {
  Index order;
  const Index* counts;           // [order]
  const std::int32_t* tokens;    // [nodes], the last id of each
  const std::int32_t* children;  // [nodes], how many n-grams one longer go on from each
  const float* probability;      // [nodes], log10
  const float* backoff;          // [nodes], log10
};

class NGram {
 public:
  // Copies the arrays. Throws std::bad_alloc, and std::invalid_argument where they are no such tree.
  explicit NGram(const NGramArrays& in);

  struct Next {
    double log;          // natural
    std::int32_t state;  // after the token
  };

  static constexpr std::int32_t kEmpty = 0;  // the state of which nothing is known

  // p(token | state), the token one of the vocabulary.
  Next next(std::int32_t state, std::int32_t token) const;

  Index vocabulary() const { return vocabulary_; }

 private:
  std::int32_t child(std::int32_t state, std::int32_t token) const;

  Index vocabulary_, below_;          // nodes that n-grams may go on from: those but of the last length
  std::vector<std::int32_t> tokens_;  // [1 + nodes]; the first stands for no context
  std::vector<std::int32_t> begins_;  // [2 + below], where the children of a node begin
  std::vector<std::int32_t> suffix_;  // [1 + nodes], the longest n-gram that ends it and is there
  std::vector<float> probability_, backoff_;
};

}  // namespace tidegate
