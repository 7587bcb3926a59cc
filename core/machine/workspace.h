// Memory that threads keep between calls, so that a warm call allocates nothing.
#pragma once

#include <initializer_list>

#include "machine/memory.h"
#include "tidegate.h"

namespace tidegate {

// One piece of memory that only grows.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  template <class T>
  T* get(Index count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes > piece_.size) {
      release();
      piece_ = take_memory(bytes);
    }
    return static_cast<T*>(piece_.data);
  }

  // Gives the memory back, to be found again by whoever needs a piece of this size next.
  void release() {
    give_memory(piece_);
    piece_ = {nullptr, 0};
  }

 private:
  Piece piece_{nullptr, 0};
};

// What one call of a layer needs, by name. What grows with the number of tokens is given back when the call ends.
struct Workspace {
  Buffer w_ih[2], w_hh[2], bias[2];
  Buffer projected[2];  // forward: projected input; backward: sums of gate gradients by token
  Buffer dgates[2], dmemo[2], partial, zero;
  Buffer stretch, stretch_row;
  Buffer offsets, start, length, order, before, sequence;
  Buffer team;  // scratch of those who share a tile
  Buffer row_of_token, row_of_id, id_of_row, table_row, row_start, token_by_row;

  void release() {
    for (Buffer* buffer : {&projected[0], &projected[1], &dgates[0], &dgates[1], &dmemo[0], &dmemo[1]}) {
      buffer->release();
    }
  }
};

inline Workspace& workspace() {
  static thread_local Workspace w;
  return w;
}

// Scratch of the kernel that runs on this thread.
template <class T>
T* scratch(Index count) {
  static thread_local Buffer buffer;
  return buffer.get<T>(count);
}

// Pieces of `size` that cover n.
inline Index blocks(Index n, Index size) { return (n + size - 1) / size; }

}  // namespace tidegate
