#include "nodes/dropout.h"

namespace tidegate {

// Draws the mask anew each time: it depends on what it is for alone.
template <class T>
void Dropout<T>::multiply(const Flow<T>& read, const T* from, T* to) const {
  const std::uint32_t what = place(this->number, kRows);
  const Index width = read.width;
  T mask[kDrawn];
  for (Index b = 0; b < read.B; ++b) {
    const Index first = read.offsets ? read.offsets[b] : b, rows = read.offsets ? read.offsets[b + 1] - first : 1;
    const Index count = per_sequence_ ? width : rows * width, again = per_sequence_ ? rows : 1;
    for (Index begin = 0; begin < count; begin += kDrawn) {
      const Index drawn = std::min(kDrawn, count - begin);
      draw_mask(this->common->draw, what, read.key[b], p_, begin, drawn, mask);
      for (Index r = 0; r < again; ++r) {
        const Index at = (first + r) * width + begin;
        for (Index i = 0; i < drawn; ++i) to[at + i] = from[at + i] * mask[i];
      }
    }
  }
}

template <class T>
void* Dropout<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.ends = nullptr;
  if (!this->common->drops(p_)) return nullptr;
  gave.rows = lane.arena.template get<T>(read.N * read.width);
  multiply(read, read.rows, gave.rows);
  return nullptr;
}

template <class T>
void Dropout<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  read.drows = gave.drows;
  if (!this->common->drops(p_) || !read.wanted) return;
  read.drows = lane.arena.template get<T>(read.N * read.width);
  multiply(read, gave.drows, read.drows);
}

template class Dropout<float>;
template class Dropout<double>;

}  // namespace tidegate
