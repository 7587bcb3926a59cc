#include "nodes/flatten.h"

namespace tidegate {

template <class T>
template <class F>
void Flatten<T>::each_cell(const Flow<T>& read, const Flow<T>& gave, const F& f) const {
  const Index C = read.width;
  for (Index b = 0; b < read.B; ++b) {
    const Image image = read.images[b];
    Index from = read.offsets[b] * C;
    for (Index y = 0; y < image.height; ++y) {
      for (Index x = 0; x < image.width; ++x, from += C) {
        const Index step = along_y_ ? y : x, place = along_y_ ? x : y, size = along_y_ ? image.width : image.height;
        const bool goes =
            mode_ == Flattening::kSum || (mode_ == Flattening::kLast ? place + 1 == size : place < cells_);
        const Index beside = mode_ == Flattening::kConcat ? place * C : 0;
        if (goes) f(from, (gave.offsets[b] + step) * gave.width + beside);
      }
    }
  }
}

template <class T>
void* Flatten<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index C = read.width;
  Index* const offsets = lane.arena.template get<Index>(read.B + 1);
  offsets[0] = 0;
  for (Index b = 0; b < read.B; ++b) {
    offsets[b + 1] = offsets[b] + (along_y_ ? read.images[b].height : read.images[b].width);
  }
  gave = {};
  gave.B = read.B;
  gave.N = offsets[read.B];
  gave.width = C * cells_;
  gave.offsets = offsets;
  gave.key = read.key;
  gave.wanted = this->common->training;
  gave.rows = lane.give(gave.N * gave.width);
  std::fill_n(gave.rows, gave.N * gave.width, T(0));
  each_cell(read, gave, [&](Index from, Index to) {
    for (Index k = 0; k < C; ++k) gave.rows[to + k] += read.rows[from + k];
  });
  return nullptr;
}

template <class T>
void Flatten<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!read.wanted) return;
  const Index C = read.width;
  read.drows = lane.arena.template zeros<T>(read.N * C);
  each_cell(read, gave, [&](Index to, Index from) { std::copy_n(gave.drows + from, C, read.drows + to); });
}

template class Flatten<float>;
template class Flatten<double>;

}  // namespace tidegate
