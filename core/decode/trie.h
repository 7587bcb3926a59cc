// Words by their signs, as a tree: which beginnings there are, and which of them are whole words.
#pragma once

#include <vector>

#include "tidegate.h"

namespace tidegate {

class Trie {
 public:
  static constexpr std::int32_t kRoot = 0, kNone = -1;

  Trie() : nodes_(1, {kNone, 0, 0}) {}

  // Returns the node of a word; one that is there already is found again. Throws std::bad_alloc.
  std::int32_t add(const std::int32_t* signs, Index count);
  // The node one sign on, or kNone.
  std::int32_t child(std::int32_t node, std::int32_t sign) const;

  Index size() const { return static_cast<Index>(nodes_.size()); }
  std::int32_t parent(std::int32_t node) const { return nodes_[node].parent; }
  std::int32_t sign(std::int32_t node) const { return nodes_[node].sign; }
  std::int32_t depth(std::int32_t node) const { return nodes_[node].depth; }

 private:
  struct Node {
    std::int32_t parent, sign, depth;
  };

  std::size_t slot(std::int32_t node, std::int32_t sign) const;
  void grow();

  std::vector<Node> nodes_;
  std::vector<std::int32_t> slots_;  // nodes by the hash of parent and sign; a power of two, at most half full
};

}  // namespace tidegate
