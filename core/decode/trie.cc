#include "decode/trie.h"

#include <algorithm>

namespace tidegate {
namespace {

constexpr std::size_t kFewest = 16;

std::size_t hash(std::int32_t node, std::int32_t sign) {  // Fibonacci hashing, the high bits folded down
  const std::uint64_t key = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(node)) << 32) ^
                            static_cast<std::uint32_t>(sign) * std::uint64_t{0x9e3779b1};
  const std::uint64_t mixed = key * 0x9e3779b97f4a7c15u;
  return static_cast<std::size_t>(mixed ^ (mixed >> 32));
}

}  // namespace

std::size_t Trie::slot(std::int32_t node, std::int32_t sign) const {
  const std::size_t last = slots_.size() - 1;
  for (std::size_t at = hash(node, sign) & last;; at = (at + 1) & last) {
    const std::int32_t found = slots_[at];
    if (found < 0 || (nodes_[found].parent == node && nodes_[found].sign == sign)) return at;
  }
}

std::int32_t Trie::child(std::int32_t node, std::int32_t sign) const {
  return slots_.empty() ? kNone : slots_[slot(node, sign)];
}

std::int32_t Trie::add(const std::int32_t* signs, Index count) {
  std::int32_t node = kRoot;
  for (Index i = 0; i < count; ++i) {
    if (2 * nodes_.size() + 2 > slots_.size()) grow();
    const std::size_t at = slot(node, signs[i]);
    if (slots_[at] < 0) {
      nodes_.push_back({node, signs[i], nodes_[node].depth + 1});
      slots_[at] = static_cast<std::int32_t>(nodes_.size()) - 1;
    }
    node = slots_[at];
  }
  return node;
}

void Trie::grow() {
  slots_.assign(std::max(kFewest, 2 * slots_.size()), kNone);
  for (std::size_t node = 1; node < nodes_.size(); ++node) {
    slots_[slot(nodes_[node].parent, nodes_[node].sign)] = static_cast<std::int32_t>(node);
  }
}

}  // namespace tidegate
