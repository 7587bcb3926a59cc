// The choice of the next token of a text: weights packed once, then scores, softmax and choice in one call.
#pragma once

#include <cstdint>

#include <vector>

#include "nodes/product.h"

namespace tidegate {

// How to choose. A temperature of zero takes the most probable token.
struct Sampling {
  double temperature;
  Index top_k;   // choose among so many of the most probable tokens; zero: all
  double top_p;  // choose among the fewest of the most probable tokens that have this share together; one: all
};

// Chooses the token whose share of the sum of probabilities holds `u` of it, 0 <= u < 1; the same scores give the same
// token on every ISA. Of equals, the lower id comes first; a score of minus infinity bars a token. `scores` [count] are
// changed; `order` [count] is room.
template <class T>
Index choose_scored(T* scores, Index count, const Sampling& sampling, double u, std::int32_t* order);

// One caller at a time.
template <class T>
class Sampler {
 public:
  // Packs w [columns, K] and bias [columns] or null, which may then die. A token whose bias is minus infinity is never
  // chosen. Throws std::bad_alloc.
  Sampler(Index K, Index columns, const T* w, const T* bias);

  // Chooses among the tokens that x makes likely, as `choose_scored` does, with any number of threads. Throws
  // std::bad_alloc.
  Index choose(const T* x, const Sampling& sampling, double u, int threads);

  Index K() const { return K_; }

 private:
  const Index K_, columns_;
  Product<T> product_;
  std::vector<T> bias_, scores_;     // [columns]
  std::vector<std::int32_t> order_;  // [columns]
};

}  // namespace tidegate
