// What is known of texts beside what was heard or seen: a language, words that may stand alone, words that are likely.
//
// Each is asked symbol by symbol, and what it keeps of the symbols so far is a `Knowledge`. Of hotwords a text earns
// the most that those of them earn together which stand in it whole, no two over each other.
#pragma once

#include <memory>
#include <vector>

#include "decode/ngram.h"
#include "decode/trie.h"

namespace tidegate {

// A list of words or texts, end to end.
struct Spelled {
  const std::int32_t* signs;
  const Index* offsets;  // [count + 1]
  Index count;
};

struct ScorerOptions {
  double alpha;         // weight of the language
  double beta;          // for each word, or without `space` for each symbol
  double unknown;       // for each word that is not in the lexicon; minus infinity lets none in
  std::int32_t space;   // the sign that parts words, or -1: a text is one word, and hotwords begin anywhere
  bool words;           // whether the n-grams are of words, not of signs
  bool rows;            // whether somebody else models the language, by a row of scores for each text
  std::int32_t begins;  // the ids of the marks of the start and the end of a text among those of the n-grams
  std::int32_t ends;
};

// The most that hotwords earn among the first signs of a match, so many.
struct Gain {
  std::int32_t signs;
  double most;
};

// What was learned from the symbols of one text so far.
struct Knowledge {
  std::int32_t context = NGram::kEmpty;
  std::int32_t word = Trie::kRoot;     // of the n-grams, as far as it is spelled
  std::int32_t allowed = Trie::kRoot;  // of the lexicon
  std::int32_t hot = Trie::kRoot;      // of the hotwords: the match, the longest end of the text that begins one
  bool inside = false;                 // a word
  bool dead = false;                   // a word that may not stand
  double language = 0;                 // its log-probability
  double settled = 0;                  // all that is added but the language and what the match earns
  std::vector<Gain> gains;  // within the match, wherever it becomes more; a longer hotword may still take its place
};

class Scorer {
 public:
  // `symbols` [V] by their signs; `tokens` the ids of these signs among the n-grams, where those are of signs. All is
  // copied. `ngram` may be null. Throws std::bad_alloc.
  Scorer(const ScorerOptions& options, const Spelled& symbols, const std::int32_t* tokens,
         std::shared_ptr<const NGram> ngram, const Spelled& vocabulary, const std::int32_t* ids, bool lexical,
         const Spelled& lexicon, const Spelled& hotwords, const double* bonus);

  Knowledge begin() const;
  // After one more symbol, 0 <= symbol < V; `row` is what it adds to the language where somebody else models that.
  Knowledge after(const Knowledge& before, Index symbol, double row) const;
  // What is added to the log-probability of a text that may go on.
  double value(const Knowledge& known) const;

  struct End {
    double value, language;
    bool whole;  // the last word may stand
  };
  // The same of a text that ends here.
  End end(const Knowledge& known, double row) const;

  bool rows() const { return options_.rows; }
  Index symbols() const { return static_cast<Index>(offsets_.size()) - 1; }

 private:
  void read(Knowledge& known, std::int32_t sign) const;
  void end_word(Knowledge& known) const;
  void match(Knowledge& known, std::int32_t sign) const;
  void gain(Knowledge& known) const;
  void learn_hotwords(const Spelled& hotwords, const double* bonus);
  void foresee(Knowledge& known, std::int32_t token) const;

  const ScorerOptions options_;
  const bool lexical_;
  std::vector<std::int32_t> signs_, tokens_;
  std::vector<Index> offsets_;
  std::shared_ptr<const NGram> ngram_;
  Trie vocabulary_, lexicon_, hotwords_;
  std::vector<std::int32_t> ids_;     // of each node of the vocabulary; 0 where no word ends
  std::vector<std::uint8_t> stands_;  // of each node of the lexicon, whether a word ends
  // Of each node of the hotwords: the share of the largest bonus below that its signs earn, the bonus of the hotword
  // that it is, where to go on when the next sign does not fit, and the longest hotword that ends there, itself or one
  // on that way, or kNone (Aho and Corasick 1975).
  std::vector<double> part_, full_;
  std::vector<std::int32_t> fail_, whole_;
};

}  // namespace tidegate
