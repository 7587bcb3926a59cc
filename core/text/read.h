// Reads texts: cuts them by a rule and looks their tokens up.
#pragma once

#include "text/cut.h"

namespace tidegate {

// A text as Python holds it: 1, 2 or 4 bytes for each sign.
struct Source {
  const void* signs;
  Index size;
  int width;
};

struct Reading {
  std::vector<std::int32_t> numbers;  // [N], `kLeft` where something odd was left
  std::vector<Index> offsets;         // [B + 1]
  std::vector<Odd> odd;
};

struct Limit {
  Index most;  // tokens of a text; a text with something odd may have more
  bool last;   // which stay
};

// Reads B texts; the result is the same for any number of threads. New tokens are added to `learn`, on one thread,
// where it is not null. Throws std::bad_alloc.
void read_texts(const Source* texts, Index B, Rule rule, bool lower, const Limit& limit, const Lexicon& lexicon,
                Lexicon* learn, int threads, Reading& out);

}  // namespace tidegate
