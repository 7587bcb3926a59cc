// The rules by which a text is cut into tokens, as the package `tokenizers` does with the patterns of data/cutting.py.
// What they do not know they leave to it: see `Kind::kOdd`.
#pragma once

#include "text/signs.h"
#include "text/take.h"

namespace tidegate {

enum class Rule : int {
  kWords,       // words, clusters of all other signs; white space and <br /> between them
  kCharacters,  // clusters, a run of white space as one space
  kWhole,       // the whole text, digits as 0
  kSigns,       // code points
  kGraphemes,   // clusters, just as they stand
};

// Cuts one text of `Char`, which are Python's strings of 1, 2 or 4 bytes a sign.
template <Rule rule, class Char>
class Cutter {
 public:
  Cutter(const Char* text, Index size, bool lower, Token& token, Take& take)
      : text_(text), size_(size), lower_(lower), token_(token), take_(take) {}

  // Cuts from `begin` on, where the text may be parted, and leaves off once there are `most` tokens; more may be there.
  void run(Index begin, Index most) {
    if constexpr (rule == Rule::kWhole) return whole();
    const Index stop = take_.tokens() + most;
    combining_ = 0;
    part(begin);
    for (Index i = begin; i < size_;) {
      const char32_t c = text_[i];
      const Sign& sign = signs_[c];
      if (sign.kind == Kind::kOdd || (kComposed && sign.combining && sign.combining < combining_)) {
        i = give_up(i);
        continue;
      }
      if (c == ' ' && may_part(i)) {
        close();
        if (take_.tokens() >= stop) return;
        part(i);
      }
      combining_ = sign.combining;
      i = step(i, c, sign);
    }
    close();
  }

  // The last place up to `i` where the text may be parted: before a space on whose neighbours nothing depends. 0 if
  // none.
  Index parting(Index i) const {
    for (; i > 0; --i) {
      if (text_[i] == ' ' && may_part(i) && !(kParagraphs && i >= 3 && opens_paragraph(i - 3))) return i;
    }
    return 0;
  }

 private:
  enum class State { kBetween, kInWord, kAtApostrophe, kInSpace, kInCluster };

  static constexpr bool kComposed = rule != Rule::kGraphemes;
  static constexpr bool kParagraphs = rule == Rule::kWords || rule == Rule::kCharacters;

  bool may_part(Index i) const {
    if (i == 0) return false;
    const Kind before = signs_[text_[i - 1]].kind;
    return before != Kind::kOdd && before != Kind::kSpace && before != Kind::kLine && text_[i - 1] != '>';
  }

  // From here on tokens are of this part, and may be given up.
  void part(Index i) {
    begin_ = i;
    take_.keep();
  }

  // Leaves a part to others: what stands between two places where the text may be parted, and holds something odd at i.
  Index give_up(Index i) {
    token_.clear();
    state_ = State::kBetween;
    combining_ = 0;
    for (; i < size_; ++i) {
      if (text_[i] == ' ' && may_part(i)) break;
      if (const Index end = paragraph(i)) i = end - 1;
    }
    take_.leave(begin_, i);
    part(i);
    return i;
  }

  bool opens_paragraph(Index i) const {
    return text_[i] == '<' && ((text_[i + 1] == 'b' && text_[i + 2] == 'r') ||
                               (lower_ && (text_[i + 1] | 32) == 'b' && (text_[i + 2] | 32) == 'r'));
  }

  // Where a <br /> ends that begins here; 0 if none does.
  Index paragraph(Index i) const {
    if (!kParagraphs || i + 3 >= size_ || !opens_paragraph(i)) return 0;
    for (i += 3; i < size_ && (text_[i] == ' ' || text_[i] == '\t' || text_[i] == '\r' || text_[i] == '\n');) ++i;
    if (i < size_ && text_[i] == '/') ++i;
    return i < size_ && text_[i] == '>' ? i + 1 : 0;
  }

  void open(char32_t c, State state) {
    close();
    token_.add(c);
    state_ = state;
  }

  void close() {
    if (state_ == State::kBetween) return;
    end_token();
    if (state_ == State::kAtApostrophe) {
      token_.add(apostrophe_);
      end_token();
    }
    state_ = State::kBetween;
  }

  void end_token() {
    take_.take(token_);
    token_.clear();
  }

  // Reads one sign, and says where the next one stands.
  Index step(Index i, char32_t c, const Sign& sign) {
    const char32_t small = lower_ ? lower_case(c, sign) : c;
    if constexpr (rule == Rule::kSigns) {
      open(c, State::kInCluster);
      return i + 1;
    }
    if (const Index end = c == '<' ? paragraph(i) : 0) {
      if (end < size_ && signs_[text_[end]].kind == Kind::kOdd) return give_up(i);  // a stroke through the >
      space(i);
      return end;
    }
    switch (sign.kind) {
      case Kind::kSpace:
      case Kind::kLine: return space(i);
      case Kind::kMark:
      case Kind::kLinker:
      case Kind::kWord:
        if constexpr (rule == Rule::kWords) return in_word(i, c, small, sign.kind);
        if (sign.kind == Kind::kLinker) return give_up(i);
        if (sign.kind == Kind::kMark && state_ != State::kBetween) {
          token_.add(small);
          state_ = State::kInCluster;
        } else {
          open(small, State::kInCluster);
        }
        return i + 1;
      case Kind::kApostrophe:
        if (state_ == State::kInWord) {
          apostrophe_ = c;
          state_ = State::kAtApostrophe;
          return i + 1;
        }
        break;
      default: break;
    }
    open(small, State::kInCluster);
    if (sign.kind == Kind::kControl) close();
    return i + 1;
  }

  Index in_word(Index i, char32_t c, char32_t small, Kind kind) {
    if (state_ == State::kInCluster && kind != Kind::kWord) {
      if (kind == Kind::kLinker) return give_up(i);
      token_.add(c);
      return i + 1;
    }
    if (state_ == State::kAtApostrophe) {
      token_.add(apostrophe_);
    } else if (state_ != State::kInWord) {
      close();
    }
    state_ = State::kInWord;
    if (kind != Kind::kWord) {
      token_.add(small);
      return i + 1;
    }
    Index end = i + 1;  // of the letters: most signs of most texts
    while (end < size_ && signs_[text_[end]].kind == Kind::kWord) ++end;
    token_.add_all(end - i, [&](Index at) {
      const char32_t letter = text_[i + at];
      return lower_ ? lower_case(letter, signs_[letter]) : letter;
    });
    return end;
  }

  Index space(Index i) {
    if constexpr (rule == Rule::kWords) {
      close();
    } else if constexpr (rule == Rule::kCharacters) {
      if (state_ != State::kInSpace) open(' ', State::kInSpace);
    } else {
      open(text_[i], State::kInCluster);
      if (signs_[text_[i]].kind == Kind::kLine) {
        if (text_[i] == '\r' && i + 1 < size_ && text_[i + 1] == '\n') token_.add(text_[++i]);
        close();
      }
    }
    return i + 1;
  }

  void whole() {
    part(0);
    for (Index i = 0; i < size_; ++i) {
      const Sign& sign = signs_[text_[i]];
      if (sign.kind == Kind::kOdd || (sign.combining && sign.combining < combining_)) {
        token_.clear();
        return take_.leave(0, size_);
      }
      combining_ = sign.combining;
      token_.add(sign.digit ? U'0' : lower_ ? lower_case(text_[i], sign) : text_[i]);
    }
    if (size_ > 0) end_token();
  }

  const Signs signs_;
  const Char* const text_;
  const Index size_;
  const bool lower_;
  Token& token_;
  Take& take_;
  State state_ = State::kBetween;
  char32_t apostrophe_ = 0;
  std::uint8_t combining_ = 0;  // that of the sign before
  Index begin_ = 0;             // of the part
};

}  // namespace tidegate
