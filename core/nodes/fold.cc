#include "nodes/fold.h"

namespace tidegate {

template <class T>
template <class F>
void Fold<T>::each_cell(const Flow<T>& read, const Flow<T>& gave, const F& f) const {
  const Index C = read.width;
  for (Index b = 0; b < read.B; ++b) {
    const Image image = read.images[b];
    const Index across = gave.images[b].width;
    Index from = read.offsets[b] * C;
    for (Index y = 0; y < image.height; ++y) {
      for (Index x = 0; x < image.width; ++x, from += C) {
        const Index block = gave.offsets[b] + y / rows_ * across + x / columns_;
        f(from, block * gave.width + (y % rows_ * columns_ + x % columns_) * C);
      }
    }
  }
}

template <class T>
void* Fold<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index C = read.width;
  Index* const offsets = lane.arena.template get<Index>(read.B + 1);
  Image* const images = lane.arena.template get<Image>(read.B);
  offsets[0] = 0;
  for (Index b = 0; b < read.B; ++b) {
    images[b] = folded(read.images[b]);
    offsets[b + 1] = offsets[b] + images[b].height * images[b].width;
  }
  gave = {};
  gave.B = read.B;
  gave.N = offsets[read.B];
  gave.width = rows_ * columns_ * C;
  gave.offsets = offsets;
  gave.images = images;
  gave.key = read.key;
  gave.wanted = this->common->training;
  gave.rows = lane.give(gave.N * gave.width);
  std::fill_n(gave.rows, gave.N * gave.width, T(0));
  each_cell(read, gave, [&](Index from, Index to) { std::copy_n(read.rows + from, C, gave.rows + to); });
  return nullptr;
}

template <class T>
void Fold<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!read.wanted) return;
  const Index C = read.width;
  read.drows = lane.arena.template get<T>(read.N * C);
  each_cell(read, gave, [&](Index to, Index from) { std::copy_n(gave.drows + from, C, read.drows + to); });
}

template class Fold<float>;
template class Fold<double>;

}  // namespace tidegate
