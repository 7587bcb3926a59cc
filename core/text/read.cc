#include "text/read.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>

#include "machine/threads.h"

namespace tidegate {
namespace {

constexpr Index kGroup = Index(1) << 15;  // signs, some 100 microseconds of work
constexpr Index kAmple = 8;               // signs of a token and of what stands around it, but for few

template <Rule rule, class Char>
void read_text(const Source& text, bool lower, const Limit& limit, Token& token, Take& take) {
  Cutter<rule, Char> cut(static_cast<const Char*>(text.signs), text.size, lower, token, take);
  if (!limit.last || rule == Rule::kWhole || limit.most >= text.size / kAmple) {
    cut.run(0, limit.last ? text.size + 1 : limit.most);
  } else {  // a longer end, until it is long enough
    for (Index window = kAmple * limit.most;; window *= 4) {
      const Index begin = window < text.size ? cut.parting(text.size - window) : 0;
      cut.run(begin, text.size + 1);
      if (begin == 0 || take.tokens() >= limit.most) break;
      take.drop_text();
    }
  }
  take.trim(limit.most, limit.last);
}

template <class Char>
void read_by(Rule rule, const Source& text, bool lower, const Limit& limit, Token& token, Take& take) {
  switch (rule) {
    case Rule::kWords: return read_text<Rule::kWords, Char>(text, lower, limit, token, take);
    case Rule::kCharacters: return read_text<Rule::kCharacters, Char>(text, lower, limit, token, take);
    case Rule::kWhole: return read_text<Rule::kWhole, Char>(text, lower, limit, token, take);
    case Rule::kSigns: return read_text<Rule::kSigns, Char>(text, lower, limit, token, take);
    case Rule::kGraphemes: return read_text<Rule::kGraphemes, Char>(text, lower, limit, token, take);
  }
}

std::vector<Index> groups_of(const Source* texts, Index B) {
  std::vector<Index> begins{0};
  Index signs = 0;
  for (Index b = 0; b < B; ++b) {
    signs += texts[b].size;
    if (signs < kGroup) continue;
    begins.push_back(b + 1);
    signs = 0;
  }
  if (begins.back() < B) begins.push_back(B);
  return begins;
}

}  // namespace

void read_texts(const Source* texts, Index B, Rule rule, bool lower, const Limit& limit, const Lexicon& lexicon,
                Lexicon* learn, int threads, Reading& out) {
  const std::vector<Index> begins = groups_of(texts, B);
  const Index groups = static_cast<Index>(begins.size()) - 1;
  std::vector<Take> takes(groups, Take(lexicon, learn));
  out.offsets.assign(B + 1, 0);
  std::atomic<bool> failed{false};
  parallel(groups, learn ? 1 : threads, [&](Index group) {
    try {
      Take& take = takes[group];
      Token token(learn ? std::numeric_limits<Index>::max() : lexicon.longest());
      for (Index b = begins[group]; b < begins[group + 1]; ++b) {
        const Source& text = texts[b];
        take.begin(b);
        const auto read = text.width == 1   ? read_by<std::uint8_t>
                          : text.width == 2 ? read_by<std::uint16_t>
                                            : read_by<std::uint32_t>;
        read(rule, text, lower, limit, token, take);
        out.offsets[b + 1] = take.size();  // in the group
      }
    } catch (...) {
      failed = true;
    }
  });
  if (failed) throw std::bad_alloc();
  Index N = 0;
  for (const Take& take : takes) N += take.size();
  out.numbers.reserve(N);
  for (Index group = 0; group < groups; ++group) {
    Take& take = takes[group];
    const Index before = static_cast<Index>(out.numbers.size());
    for (Index b = begins[group]; b < begins[group + 1]; ++b) out.offsets[b + 1] += before;
    for (Odd& odd : take.odd) odd.place += before;
    if (groups == 1) {
      out.numbers.swap(take.numbers);
    } else {
      out.numbers.insert(out.numbers.end(), take.numbers.begin(), take.numbers.end());
    }
    out.odd.insert(out.odd.end(), take.odd.begin(), take.odd.end());
  }
}

}  // namespace tidegate
