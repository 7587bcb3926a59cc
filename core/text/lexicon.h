// Tokens and their numbers.
#pragma once

#include <algorithm>
#include <vector>

#include "tidegate.h"

namespace tidegate {

// A token while it is read, sign by sign.
class Token {
 public:
  // Need not keep more than `most` signs; what is longer is known by its length and hash alone.
  explicit Token(Index most);

  void clear() {
    hash_ = seed_;
    length_ = 0;
  }
  void add(char32_t sign) {
    add_all(1, [=](Index) { return sign; });
  }
  // Adds sign(0) to sign(count - 1).
  template <class F>
  void add_all(Index count, const F& sign) {
    const Index length = length_ + count;
    if (static_cast<Index>(signs_.size()) < std::min(length, most_)) make_room(length);
    const Index kept = static_cast<Index>(signs_.size()) - length_;
    char32_t* const to = signs_.data();
    std::uint64_t hash = hash_;
    for (Index i = 0; i < count; ++i) {
      const char32_t c = sign(i);
      hash = (hash ^ c) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 32;
      if (i < kept) to[length_ + i] = c;
    }
    hash_ = hash;
    length_ = length;
  }

  const char32_t* signs() const { return signs_.data(); }
  Index length() const { return length_; }
  std::uint64_t hash() const { return hash_; }

 private:
  void make_room(Index length);

  const Index most_;
  const std::uint64_t seed_;
  Index length_ = 0;
  std::uint64_t hash_ = seed_;
  std::vector<char32_t> signs_;
};

// Numbers tokens from 0 on, in the order in which they are added. What throws std::bad_alloc leaves it as it was.
class Lexicon {
 public:
  Index size() const { return static_cast<Index>(entries_.size()); }
  // The number of signs of the longest token.
  Index longest() const { return longest_; }
  // The number of a token, or -1.
  std::int32_t find(const Token& token) const;
  // The number of a token, which is added where it is new.
  std::int32_t add(const Token& token);
  // The signs of a token.
  const char32_t* signs(Index number) const { return signs_.data() + entries_[number].begin; }
  Index length(Index number) const { return entries_[number].length; }

 private:
  struct Entry {
    std::uint64_t hash;
    Index begin, length;  // in signs_
  };

  std::size_t slot(const Token& token) const;
  void grow();

  std::vector<Entry> entries_;
  std::vector<char32_t> signs_;
  std::vector<std::int32_t> slots_;  // a power of two of them, less than half taken; -1 for none
  Index longest_ = 0;
};

}  // namespace tidegate
