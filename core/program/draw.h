// Random numbers that depend on what they are for alone, never on who draws them: Philox4x32-10, a counter-based
// generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#pragma once

#include <cstdint>

#include "tidegate.h"

namespace tidegate {

struct Philox {
  std::uint32_t word[4];
};

inline Philox philox(Philox counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53u) * counter.word[0];
    const std::uint64_t b = std::uint64_t(0xCD9E8D57u) * counter.word[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// What all draws of one update have in common.
struct Draw {
  std::uint64_t seed;
  std::uint32_t step;
};

// mask[i] = 0 with probability p, else 1 / (1 - p), for element first + i of what `place` (a node, and what of it)
// drops in sequence `key`.
template <class T>
void draw_mask(const Draw& draw, std::uint32_t place, std::uint32_t key, double p, Index first, Index count, T* mask) {
  const T kept = static_cast<T>(1 / (1 - p));
  const auto least = static_cast<std::uint64_t>(p * 4294967296.0);  // of the words that are kept
  for (Index i = 0; i < count;) {
    const Index element = first + i;
    const Philox drawn = philox({{static_cast<std::uint32_t>(element / 4), key, place, draw.step}},
                                static_cast<std::uint32_t>(draw.seed), static_cast<std::uint32_t>(draw.seed >> 32));
    for (Index word = element % 4; word < 4 && i < count; ++word, ++i) mask[i] = drawn.word[word] < least ? T(0) : kept;
  }
}

}  // namespace tidegate
