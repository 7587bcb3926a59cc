// How the core reads a code point: what it does where a text is cut, and its lower case.
#pragma once

#include <cstdint>

namespace tidegate {

enum class Kind : std::uint8_t {
  kOdd,         // left to the package `tokenizers`, with all around it up to the next space
  kSpace,       // white space that marks may stand on
  kLine,        // white space that ends all before it, as the end of a line does
  kWord,        // part of a word: letters, digits, and marks that no cluster takes in
  kMark,        // goes on with what stands before it, be it a word or a cluster
  kLinker,      // a mark that may join what follows, too: odd but in words
  kSingle,      // begins a cluster
  kControl,     // a cluster that no mark goes on with
  kApostrophe,  // part of a word where it stands between two of its signs, else a cluster
};

struct Sign {
  Kind kind;
  std::uint8_t combining;  // its class: the order of marks on one letter
  std::uint8_t digit;
  std::int32_t plus;
  std::uint8_t mask, flip;  // where capitals and small letters alternate
};

inline char32_t lower_case(char32_t c, const Sign& sign) {
  return c + static_cast<char32_t>(sign.plus) + ((c ^ sign.flip) & sign.mask);
}

// The signs of all code points.
class Signs {
 public:
  Signs();
  const Sign& operator[](char32_t c) const { return signs_[c < kKnown ? number_[c] : 0]; }

 private:
  static constexpr char32_t kKnown = 0x31400;

  const Sign* const signs_;
  const std::uint8_t* const number_;
};

}  // namespace tidegate
