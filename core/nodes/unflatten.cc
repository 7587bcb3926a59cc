#include "nodes/unflatten.h"

namespace tidegate {

template <class T>
template <class F>
void Unflatten<T>::each_cell(const Flow<T>& read, const Flow<T>& gave, const F& f) const {
  const Index C = gave.width;
  for (Index b = 0; b < read.B; ++b) {
    const Index steps = read.offsets[b + 1] - read.offsets[b];
    for (Index step = 0; step < steps; ++step) {
      for (Index cell = 0; cell < cells_; ++cell) {
        const Index place = along_y_ ? step * cells_ + cell : cell * steps + step;
        f((read.offsets[b] + step) * read.width + cell * C, (gave.offsets[b] + place) * C);
      }
    }
  }
}

template <class T>
void* Unflatten<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index C = read.width / cells_;
  Index* const offsets = lane.arena.template get<Index>(read.B + 1);
  Image* const images = lane.arena.template get<Image>(read.B);
  for (Index b = 0; b <= read.B; ++b) offsets[b] = read.offsets[b] * cells_;
  for (Index b = 0; b < read.B; ++b) images[b] = image_of(read.offsets[b + 1] - read.offsets[b]);
  gave = {};
  gave.B = read.B;
  gave.N = read.N * cells_;
  gave.width = C;
  gave.offsets = offsets;
  gave.images = images;
  gave.key = read.key;
  gave.wanted = read.wanted;
  gave.rows = lane.give(gave.N * C);
  each_cell(read, gave, [&](Index from, Index to) { std::copy_n(read.rows + from, C, gave.rows + to); });
  return nullptr;
}

template <class T>
void Unflatten<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!read.wanted) return;
  const Index C = gave.width;
  read.drows = lane.arena.template get<T>(read.N * read.width);
  each_cell(read, gave, [&](Index to, Index from) { std::copy_n(gave.drows + from, C, read.drows + to); });
}

template class Unflatten<float>;
template class Unflatten<double>;

}  // namespace tidegate
