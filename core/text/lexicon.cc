#include "text/lexicon.h"

#include <random>

namespace tidegate {
namespace {

constexpr std::size_t kFewest = 64;

// Differs from process to process, so that nobody can choose words that all fall into one slot.
std::uint64_t seed() {
  static const std::uint64_t drawn = [] {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
  }();
  return drawn;
}

}  // namespace

Token::Token(Index most) : most_(most), seed_(seed()), signs_(kFewest) {}

void Token::make_room(Index length) {
  signs_.resize(std::min(std::max(length, 2 * static_cast<Index>(signs_.size())), most_));
}

std::size_t Lexicon::slot(const Token& token) const {
  const std::size_t last = slots_.size() - 1;
  for (std::size_t at = token.hash() & last;; at = (at + 1) & last) {
    if (slots_[at] < 0) return at;
    const Entry& entry = entries_[slots_[at]];
    if (entry.hash == token.hash() && entry.length == token.length() &&
        std::equal(token.signs(), token.signs() + entry.length, signs_.data() + entry.begin)) {
      return at;
    }
  }
}

std::int32_t Lexicon::find(const Token& token) const {
  return token.length() > longest_ || slots_.empty() ? -1 : slots_[slot(token)];
}

std::int32_t Lexicon::add(const Token& token) {
  if (2 * entries_.size() + 2 > slots_.size()) grow();
  const std::size_t at = slot(token);
  if (slots_[at] >= 0) return slots_[at];
  const Index begin = static_cast<Index>(signs_.size());
  entries_.push_back({token.hash(), begin, token.length()});
  try {
    signs_.insert(signs_.end(), token.signs(), token.signs() + token.length());
  } catch (...) {
    entries_.pop_back();
    throw;
  }
  longest_ = std::max(longest_, token.length());
  return slots_[at] = static_cast<std::int32_t>(entries_.size()) - 1;
}

void Lexicon::grow() {
  std::vector<std::int32_t> slots(std::max(kFewest, 2 * slots_.size()), -1);
  const std::size_t last = slots.size() - 1;
  for (std::size_t number = 0; number < entries_.size(); ++number) {
    std::size_t at = entries_[number].hash & last;
    while (slots[at] >= 0) at = (at + 1) & last;
    slots[at] = static_cast<std::int32_t>(number);
  }
  slots_.swap(slots);
}

}  // namespace tidegate
