// Digests of beams with each kind of scorer, and of n-grams; how numbers are made and added up, `digests.cc` says.
#pragma once

#include <cstdlib>
#include <limits>
#include <string>

#include "decode/beam.h"

namespace tidegate {

// Three signs, bigrams of some of them.
inline std::shared_ptr<const NGram> some_bigrams() {
  const std::vector<Index> counts{6, 7};
  const std::vector<std::int32_t> tokens{0, 1, 2, 3, 4, 5, 3, 4, 4, 5, 2, 3, 5},
      children{0, 2, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0};
  const std::vector<float> probability{-2,    -99,     -1, -0.5f, -0.75f, -1.25f, -0.25f,
                                       -0.5f, -0.125f, -1, -0.5f, -0.75f, -0.625f};
  const std::vector<float> backoff{0, -0.25f, 0, -0.125f, -0.5f, -0.25f, 0, 0, 0, 0, 0, 0, 0};
  return std::make_shared<const NGram>(
      NGramArrays{2, counts.data(), tokens.data(), children.data(), probability.data(), backoff.data()});
}

template <class Digest, class Numbers>
void beam_digests(const std::vector<Index>& offsets) {
  constexpr Index kSymbols = 3;
  Numbers numbers(61);
  std::vector<double> rows = numbers.template draw<double>(offsets.back() * (1 + kSymbols), 4);
  for (double& row : rows) row -= 4;
  const std::vector<std::int32_t> signs{' ', 'a', 'b'}, ids{5, 3, 4}, words{'a', 'b', 'b', 'a', ' ', 'a'};
  const std::vector<Index> each{0, 1, 2, 3}, lexicon{0, 1, 3, 4}, hotwords{0, 2, 6};
  const std::vector<double> bonus{1.5, 2.25};
  const Spelled none{nullptr, each.data(), 0};
  std::shared_ptr<const Scorer> scorers[3];
  for (int i = 1; i < 3; ++i) {
    const ScorerOptions options{0.75, 0.5, i == 1 ? -std::numeric_limits<double>::infinity() : -3, ' ', false, false,
                                1,    2};
    scorers[i] = std::make_shared<const Scorer>(
        options, Spelled{signs.data(), each.data(), 3}, ids.data(), some_bigrams(), none, nullptr, true,
        Spelled{words.data(), lexicon.data(), 3}, Spelled{words.data(), hotwords.data(), 2}, bonus.data());
  }
  for (int i = 0; i < 3; ++i) {
    Digest digest;
    for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
      Beam beam({kSymbols, 5, -7.5}, scorers[i]);
      const Index frames = offsets[b + 1] - offsets[b];
      if (beam.push(rows.data() + offsets[b] * (1 + kSymbols), frames) != frames) std::abort();
      for (const Found& found : beam.best(3)) {
        digest.add(found.symbols).add(found.spans);
        digest.add(std::vector<double>{found.score, found.log_probability, found.language});
      }
      digest.add(beam.write());
    }
    digest.print("beam/" + std::to_string(i));
  }
}

}  // namespace tidegate
