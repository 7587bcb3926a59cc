#include "text/signs.h"

#include <array>

namespace tidegate {
namespace {

struct Run {
  std::uint32_t length;
  std::uint8_t number;
};

#include "text/signs.inc"

template <std::size_t count>
struct Numbers {
  std::array<std::uint8_t, count> of{};

  Numbers() {
    std::size_t at = 0;
    for (const Run& run : kRuns) {
      for (std::uint32_t i = 0; i < run.length; ++i) of[at++] = run.number;
    }
  }
};

constexpr std::size_t known() {
  std::size_t sum = 0;
  for (const Run& run : kRuns) sum += run.length;
  return sum;
}

const std::uint8_t* numbers() {
  static const Numbers<known()> all;
  return all.of.data();
}

}  // namespace

Signs::Signs() : signs_(kSigns), number_(numbers()) { static_assert(known() == kKnown, "write signs.inc anew"); }

}  // namespace tidegate
