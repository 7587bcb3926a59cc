// Large pieces of memory that are kept for the next call when they are given back: the system hands out new pages one
// fault at a time, which takes longer than filling them.
#pragma once

#include <cstddef>

namespace tidegate {

struct Piece {
  void* data;
  std::size_t size;
};

// At least `bytes` of uninitialised memory, aligned to a page. Throws std::bad_alloc.
Piece take_memory(std::size_t bytes);

// Keeps the piece for `take_memory`, or returns it to the system where enough is kept.
void give_memory(Piece piece) noexcept;

}  // namespace tidegate
