#include "nodes/decode.h"

namespace tidegate {

template <class T>
struct Decode<T>::Run {
  Ends<T> starts;
  Flow<T> read, gave;  // of the cells: a sequence of one row for each step
  void* kept;
};

template <class T>
void* Decode<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  Arena& arena = lane.arena;
  Run& run = *arena.template structs<Run>(1);
  const Ends<T>& ends = *read.ends;
  const Index count = read.B * steps_, of_step = size_ - of_channel_, H = ends.H;
  run.starts.make(arena, ends.count, count, H, ends.c != nullptr, this->common->training);
  for (int i = 0; i < ends.count; ++i) {
    for (Index row = 0; row < count; ++row) {
      std::copy_n(ends.h[i] + row / steps_ * H, H, run.starts.h[i] + row * H);
      if (ends.c) std::copy_n(ends.c[i] + row / steps_ * H, H, run.starts.c[i] + row * H);
    }
  }
  Index* const each = arena.template get<Index>(count + 1);
  Index* const offsets = arena.template get<Index>(read.B + 1);
  std::uint32_t* const key = arena.template get<std::uint32_t>(count);
  T* const rows = lane.room(count * size_);
  for (Index row = 0; row < count; ++row) {
    const Index step = row % steps_, sequence = row / steps_, channel = sequence % channels_;
    each[row] = row;
    // Apart from the keys of the sequences themselves, whose masks the same cells draw.
    key[row] = ~(read.key[sequence] * static_cast<std::uint32_t>(steps_) + static_cast<std::uint32_t>(step));
    std::copy_n(parameters_ + step * of_step, of_step, rows + row * size_);
    std::copy_n(parameters_ + steps_ * of_step + channel * of_channel_, of_channel_, rows + row * size_ + of_step);
  }
  each[count] = count;
  for (Index b = 0; b <= read.B; ++b) offsets[b] = b * steps_;
  run.read.B = run.read.N = count;
  run.read.width = size_;
  run.read.offsets = each;
  run.read.key = key;
  run.read.rows = rows;
  run.read.wanted = this->common->training;
  run.kept = before_->run_from(lane, run.read, &run.starts, run.gave);
  gave = run.gave;
  gave.B = read.B;
  gave.offsets = offsets;
  gave.key = read.key;
  gave.ends = nullptr;
  return &run;
}

template <class T>
void Decode<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  Run& run = *static_cast<Run*>(kept);
  const Ends<T>& ends = *read.ends;
  const Index count = run.read.B, of_step = size_ - of_channel_, H = ends.H;
  run.gave.drows = gave.drows;
  before_->back(lane, run.read, run.gave, run.kept);
  T* const gradient = lane.gradient + this->offset;
  for (Index row = 0; lane.gradient && row < count; ++row) {
    const Index step = row % steps_, channel = row / steps_ % channels_;
    const T* const from = run.read.drows + row * size_;
    T* const position = gradient + step * of_step;
    T* const of_channel = gradient + steps_ * of_step + channel * of_channel_;
    for (Index k = 0; k < of_step; ++k) position[k] += from[k];
    for (Index k = 0; k < of_channel_; ++k) of_channel[k] += from[of_step + k];
  }
  for (int i = 0; i < ends.count; ++i) {
    for (Index row = 0; row < count; ++row) {
      const Index to = row / steps_ * H;
      for (Index k = 0; k < H; ++k) ends.dh[i][to + k] += run.starts.dh[i][row * H + k];
      for (Index k = 0; ends.dc && k < H; ++k) ends.dc[i][to + k] += run.starts.dc[i][row * H + k];
    }
  }
  read.drows = lane.arena.template zeros<T>(read.N * read.width);  // its rows go nowhere
}

template class Decode<float>;
template class Decode<double>;

}  // namespace tidegate
