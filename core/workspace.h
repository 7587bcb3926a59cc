// Memory that threads keep between calls, so that a warm call allocates nothing.
#pragma once

#include <cstdlib>
#include <new>

#include "tidegate.h"

namespace tidegate {

// One piece of memory that only grows.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  template <class T>
  T* get(Index count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + bytes / 8 + 4095) / 4096 * 4096;
      data_ = std::aligned_alloc(4096, size_);
      if (!data_) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

// What one call of a layer needs, by name.
struct Workspace {
  Buffer w_ih[2], w_hh[2], bias[2];
  Buffer projected[2];  // forward: projected input; backward: sums of gate gradients by token
  Buffer dgates[2], dmemo[2], partial, zero;
  Buffer length, order, before, sequence;
  Buffer row_of_token, row_of_id, id_of_row, table_row;
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
