#include "nodes/split.h"

namespace tidegate {

template <class T>
void* Split<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index width = size_ + shared_;
  gave = read;
  gave.ends = nullptr;
  gave.B = read.B * channels_;
  gave.N = read.N * channels_;
  gave.width = width;
  gave.rows = lane.give(gave.N * width);
  Index* const offsets = lane.arena.template get<Index>(gave.B + 1);
  std::uint32_t* const key = lane.arena.template get<std::uint32_t>(gave.B);
  Index at = 0;
  for (Index b = 0; b < read.B; ++b) {
    for (Index channel = 0; channel < channels_; ++channel) {
      const Index sequence = b * channels_ + channel;
      offsets[sequence] = at;
      key[sequence] = read.key[b] * static_cast<std::uint32_t>(channels_) + static_cast<std::uint32_t>(channel);
      for (Index n = read.offsets[b]; n < read.offsets[b + 1]; ++n, ++at) {
        const T* const from = read.rows + n * read.width;
        std::copy_n(from + channel * size_, size_, gave.rows + at * width);
        std::copy_n(from + channels_ * size_, shared_, gave.rows + at * width + size_);
      }
    }
  }
  offsets[gave.B] = at;
  gave.offsets = offsets;
  gave.key = key;
  return nullptr;
}

template <class T>
void Split<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!read.wanted) return;
  const Index width = size_ + shared_;
  read.drows = lane.arena.template zeros<T>(read.N * read.width);
  const T* from = gave.drows;
  for (Index b = 0; b < read.B; ++b) {
    for (Index channel = 0; channel < channels_; ++channel) {
      for (Index n = read.offsets[b]; n < read.offsets[b + 1]; ++n, from += width) {
        T* const to = read.drows + n * read.width;
        std::copy_n(from, size_, to + channel * size_);
        for (Index k = 0; k < shared_; ++k) to[channels_ * size_ + k] += from[size_ + k];
      }
    }
  }
}

template class Split<float>;
template class Split<double>;

}  // namespace tidegate
