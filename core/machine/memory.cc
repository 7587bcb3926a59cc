#include "machine/memory.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tidegate {
namespace {

constexpr std::size_t kPage = std::size_t(4) << 10, kHugePage = std::size_t(2) << 20;
constexpr std::size_t kMostKept = std::size_t(512) << 20;  // of what nobody uses

struct Kept {
  std::mutex mutex;
  std::vector<Piece> pieces;  // the one given back last stands last: its lines may still be in a cache
  std::size_t bytes = 0;
};

// Never destroyed: arrays may outlive everything else.
Kept& kept() {
  static Kept* const k = new Kept;
  return *k;
}

// Eight sizes per power of two, so that batches of about the same size share pieces.
std::size_t rounded(std::size_t bytes) {
  std::size_t step = kPage;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

std::align_val_t alignment(std::size_t size) { return std::align_val_t(size >= kHugePage ? kHugePage : kPage); }

}  // namespace

Piece take_memory(std::size_t bytes) {
  const std::size_t size = rounded(std::max(bytes, kPage));
  {
    Kept& k = kept();
    const std::lock_guard<std::mutex> lock(k.mutex);
    for (auto piece = k.pieces.rbegin(); piece != k.pieces.rend(); ++piece) {
      if (piece->size < size || piece->size > size + size / 2) continue;
      const Piece found = *piece;
      k.pieces.erase(std::next(piece).base());
      k.bytes -= found.size;
      return found;
    }
  }
  void* const data = ::operator new(size, alignment(size));
#if defined(__linux__)
  if (size >= kHugePage) madvise(data, size, MADV_HUGEPAGE);  // advice: where it is not taken nothing is lost
#endif
  return {data, size};
}

void give_memory(Piece piece) noexcept {
  if (!piece.data) return;
  {
    Kept& k = kept();
    const std::lock_guard<std::mutex> lock(k.mutex);
    if (k.bytes + piece.size <= kMostKept) {
      k.pieces.push_back(piece);
      k.bytes += piece.size;
      return;
    }
  }
  ::operator delete(piece.data, alignment(piece.size));
}

}  // namespace tidegate
