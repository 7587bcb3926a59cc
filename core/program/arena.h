// Memory that a chain of work takes piece by piece and gives back all at once.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
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
    for (; piece_ < pieces_.size() && used_ + bytes > pieces_[piece_].size; ++piece_) used_ = 0;
    if (piece_ == pieces_.size()) {
      const std::size_t least = pieces_.empty() ? std::size_t(1) << 16 : 2 * pieces_.back().size;
      pieces_.push_back(take_memory(std::max(bytes, least)));
      used_ = 0;
    }
    T* const at = reinterpret_cast<T*>(static_cast<char*>(pieces_[piece_].data) + used_);
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

  struct Mark {
    std::size_t piece, used;
  };
  Mark mark() const { return {piece_, used_}; }
  // What was taken since the mark is free again.
  void rewind(const Mark& mark) {
    piece_ = mark.piece;
    used_ = mark.used;
  }

  // All memory is given back, to be found again by whoever needs some next.
  void release() {
    drop();
    piece_ = used_ = 0;
  }

  // What was taken is free again. From the second round on, all of it lies in one piece.
  void clear() {
    if (pieces_.size() > 1) {
      std::size_t size = 0;
      for (const Piece& piece : pieces_) size += piece.size;
      drop();
      pieces_.push_back(take_memory(size));
    }
    piece_ = used_ = 0;
  }

 private:
  void drop() {
    for (const Piece& piece : pieces_) give_memory(piece);
    pieces_.clear();
  }

  std::vector<Piece> pieces_;
  std::size_t piece_ = 0, used_ = 0;  // where memory is taken from
};

// Arenas for whoever runs a group: there are never more of them than threads that did so at once.
class Arenas {
 public:
  class Loan {
   public:
    explicit Loan(Arenas& from) : from_(from), arena_(from.take()) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { from_.give(std::move(arena_)); }
    Arena& operator*() const { return *arena_; }

   private:
    Arenas& from_;
    std::unique_ptr<Arena> arena_;
  };

 private:
  std::unique_ptr<Arena> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) return std::make_unique<Arena>();
    std::unique_ptr<Arena> arena = std::move(idle_.back());
    idle_.pop_back();
    return arena;
  }
  void give(std::unique_ptr<Arena> arena) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(arena));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Arena>> idle_;
};

}  // namespace tidegate
