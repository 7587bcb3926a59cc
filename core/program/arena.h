// Memory that a chain of work takes piece by piece and gives back all at once.
#pragma once

#include <algorithm>
#include <new>
#include <vector>

#include "machine/memory.h"
#include "tidegate.h"

namespace tidegate {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { drop(); }

  // Uninitialised, aligned to a cache line; it lasts until `clear`.
  template <class T>
  T* get(Index count) {
    const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    if (pieces_.empty() || used_ + bytes > pieces_.back().size) {
      const std::size_t least = pieces_.empty() ? std::size_t(1) << 16 : 2 * pieces_.back().size;
      pieces_.push_back(take_memory(std::max(bytes, least)));
      used_ = 0;
    }
    T* const at = reinterpret_cast<T*>(static_cast<char*>(pieces_.back().data) + used_);
    used_ += bytes;
    return at;
  }
  template <class T>
  T* zeros(Index count) {
    T* const at = get<T>(count);
    std::fill(at, at + count, T(0));
    return at;
  }

  // `count` of a plain struct, all zero.
  template <class S>
  S* structs(Index count) {
    S* const at = get<S>(count);
    for (Index i = 0; i < count; ++i) new (at + i) S{};
    return at;
  }

  // What was taken is free again. From the second round on, all of it lies in one piece.
  void clear() {
    if (pieces_.size() > 1) {
      std::size_t size = 0;
      for (const Piece& piece : pieces_) size += piece.size;
      drop();
      pieces_.push_back(take_memory(size));
    }
    used_ = 0;
  }

 private:
  void drop() {
    for (const Piece& piece : pieces_) give_memory(piece);
    pieces_.clear();
  }

  std::vector<Piece> pieces_;
  std::size_t used_ = 0;
};

}  // namespace tidegate
