#include "decode/scorer.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace tidegate {
namespace {

constexpr double kRefused = -std::numeric_limits<double>::infinity();

double earned(const std::vector<Gain>& gains) { return gains.empty() ? 0 : gains.back().most; }

double among(const std::vector<Gain>& gains, std::int32_t signs) {
  double most = 0;
  for (auto gain = gains.begin(); gain != gains.end() && gain->signs <= signs; ++gain) most = gain->most;
  return most;
}

// Takes off the signs that a match begins with, and returns what was earned among them.
double settle(std::vector<Gain>& gains, std::int32_t signs) {
  const double off = among(gains, signs);
  std::size_t left = 0;
  for (const Gain& gain : gains) {
    if (gain.signs > signs) gains[left++] = {gain.signs - signs, gain.most - off};
  }
  gains.resize(left);
  return off;
}

}  // namespace

Scorer::Scorer(const ScorerOptions& options, const Spelled& symbols, const std::int32_t* tokens,
               std::shared_ptr<const NGram> ngram, const Spelled& vocabulary, const std::int32_t* ids, bool lexical,
               const Spelled& lexicon, const Spelled& hotwords, const double* bonus)
    : options_(options),
      lexical_(lexical),
      signs_(symbols.signs, symbols.signs + symbols.offsets[symbols.count]),
      offsets_(symbols.offsets, symbols.offsets + symbols.count + 1),
      ngram_(std::move(ngram)) {
  if (ngram_ && !options.words) tokens_.assign(tokens, tokens + signs_.size());
  for (Index w = 0; w < vocabulary.count; ++w) {
    const Index begin = vocabulary.offsets[w];
    const std::int32_t node = vocabulary_.add(vocabulary.signs + begin, vocabulary.offsets[w + 1] - begin);
    ids_.resize(vocabulary_.size(), 0);
    ids_[node] = ids[w];
  }
  ids_.resize(vocabulary_.size(), 0);
  for (Index w = 0; w < lexicon.count; ++w) {
    const Index begin = lexicon.offsets[w];
    const std::int32_t node = lexicon_.add(lexicon.signs + begin, lexicon.offsets[w + 1] - begin);
    stands_.resize(lexicon_.size(), 0);
    stands_[node] = 1;
  }
  stands_.resize(lexicon_.size(), 0);
  learn_hotwords(hotwords, bonus);
}

void Scorer::learn_hotwords(const Spelled& hotwords, const double* bonus) {
  for (Index w = 0; w < hotwords.count; ++w) {
    const Index begin = hotwords.offsets[w], length = hotwords.offsets[w + 1] - begin;
    const std::int32_t last = hotwords_.add(hotwords.signs + begin, length);
    part_.resize(hotwords_.size(), 0), full_.resize(hotwords_.size(), 0);
    full_[last] = std::max(full_[last], bonus[w]);
    for (std::int32_t node = last; node != Trie::kRoot; node = hotwords_.parent(node)) {
      const double share = static_cast<double>(hotwords_.depth(node)) / static_cast<double>(length);
      part_[node] = std::max(part_[node], bonus[w] * share);
    }
  }
  part_.resize(hotwords_.size(), 0), full_.resize(hotwords_.size(), 0);
  fail_.assign(hotwords_.size(), Trie::kNone), whole_.assign(hotwords_.size(), Trie::kNone);
  std::vector<std::int32_t> order(hotwords_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [this](std::int32_t a, std::int32_t b) { return hotwords_.depth(a) < hotwords_.depth(b); });
  for (const std::int32_t node : order) {  // a match may begin after a space alone, where there are spaces
    if (node == Trie::kRoot) continue;
    const std::int32_t sign = hotwords_.sign(node), parent = hotwords_.parent(node);
    const bool first = options_.space < 0 || sign == options_.space;
    std::int32_t from = fail_[parent], found = Trie::kNone;
    while (from != Trie::kNone && (found = hotwords_.child(from, sign)) == Trie::kNone) from = fail_[from];
    fail_[node] = found != Trie::kNone ? found : first ? Trie::kRoot : Trie::kNone;
    whole_[node] = full_[node] > 0 ? node : found != Trie::kNone ? whole_[found] : Trie::kNone;
  }
}

Knowledge Scorer::begin() const {
  Knowledge known;
  if (ngram_) known.context = ngram_->next(NGram::kEmpty, options_.begins).state;
  return known;
}

void Scorer::foresee(Knowledge& known, std::int32_t token) const {
  const NGram::Next next = ngram_->next(known.context, token);
  known.language += next.log;
  known.context = next.state;
}

void Scorer::match(Knowledge& known, std::int32_t sign) const {
  const bool parted = options_.space >= 0, space = parted && sign == options_.space;
  if (space) gain(known);
  const std::int32_t before = known.hot == Trie::kNone ? 0 : hotwords_.depth(known.hot);
  std::int32_t found = Trie::kNone;
  while (known.hot != Trie::kNone && (found = hotwords_.child(known.hot, sign)) == Trie::kNone) {
    known.hot = fail_[known.hot];
  }
  known.hot = found != Trie::kNone ? found : (space || !parted) ? Trie::kRoot : Trie::kNone;
  if (!known.gains.empty()) {
    known.settled += settle(known.gains, before + 1 - (found == Trie::kNone ? 0 : hotwords_.depth(found)));
  }
  if (!parted) gain(known);
}

// Adds what is earned by the hotwords that end here.
void Scorer::gain(Knowledge& known) const {
  if (known.hot == Trie::kNone) return;
  const std::int32_t signs = hotwords_.depth(known.hot);
  double most = earned(known.gains);
  for (std::int32_t node = known.hot; node != Trie::kNone; node = fail_[node]) {
    node = whole_[node];
    if (node == Trie::kNone) break;
    most = std::max(most, among(known.gains, signs - hotwords_.depth(node)) + full_[node]);
  }
  if (most > earned(known.gains)) known.gains.push_back({signs, most});
}

void Scorer::end_word(Knowledge& known) const {
  if (!known.inside) return;
  known.inside = false;
  if (options_.words && ngram_) foresee(known, known.word == Trie::kNone ? 0 : ids_[known.word]);
  if (lexical_ && known.allowed != Trie::kNone && !stands_[known.allowed]) {
    known.settled += options_.unknown;
    known.dead |= options_.unknown == kRefused;
  }
  if (options_.space >= 0) known.settled += options_.beta;
}

void Scorer::read(Knowledge& known, std::int32_t sign) const {
  if (hotwords_.size() > 1) match(known, sign);
  if (options_.space >= 0 && sign == options_.space) return end_word(known);
  if (!known.inside) {
    known.inside = true;
    known.word = known.allowed = Trie::kRoot;
  }
  if (known.word != Trie::kNone) known.word = vocabulary_.child(known.word, sign);
  if (lexical_ && known.allowed != Trie::kNone) {
    known.allowed = lexicon_.child(known.allowed, sign);
    if (known.allowed == Trie::kNone) {
      known.settled += options_.unknown;
      known.dead |= options_.unknown == kRefused;
    }
  }
}

Knowledge Scorer::after(const Knowledge& before, Index symbol, double row) const {
  Knowledge known = before;
  const Index begin = offsets_[symbol], end = offsets_[symbol + 1];
  for (Index i = begin; i < end && !known.dead; ++i) read(known, signs_[i]);
  if (known.dead) return known;
  if (!tokens_.empty()) {
    for (Index i = begin; i < end; ++i) foresee(known, tokens_[i]);
  }
  if (options_.space < 0) known.settled += options_.beta;
  known.language += row;
  return known;
}

double Scorer::value(const Knowledge& known) const {
  const double begun = known.hot == Trie::kNone ? 0 : part_[known.hot];
  return options_.alpha * known.language + (known.settled + std::max(earned(known.gains), begun));
}

Scorer::End Scorer::end(const Knowledge& before, double row) const {
  Knowledge known = before;
  gain(known);
  const bool whole = !lexical_ || !known.inside || (known.allowed == Trie::kNone || stands_[known.allowed]) ||
                     options_.unknown != kRefused;
  if (!whole) known.allowed = Trie::kNone;  // told by the flag, so that the score stays finite
  end_word(known);
  if (ngram_) foresee(known, options_.ends);
  known.language += row;
  return {options_.alpha * known.language + (known.settled + earned(known.gains)), known.language, whole};
}

}  // namespace tidegate
