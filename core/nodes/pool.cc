#include "nodes/pool.h"

#include "isa/dispatch.h"

namespace tidegate {
namespace {

constexpr Index kPooled = 8;  // sequences that a task pools

}  // namespace

template <class T>
Pool<T> Pooling<T>::pool(std::size_t mode, const Flow<T>& read, T* pooled) const {
  Pool<T> p{};
  p.h = read.rows;
  p.offsets = read.offsets;
  p.H = read.width;
  p.mode = modes_[mode];
  p.pooled = pooled + static_cast<Index>(mode) * read.width;
  p.stride = static_cast<Index>(modes_.size()) * read.width;
  p.dh = read.drows;
  return p;
}

template <class T>
T* Pooling<T>::last_states(Arena& arena, const Flow<T>& read) const {
  const Ends<T>& ends = *read.ends;
  const int directions = before_->directions(), first = ends.count - directions;
  T* const h = arena.get<T>(read.B * directions * ends.H);
  for (Index b = 0; b < read.B; ++b) {
    for (int d = 0; d < directions; ++d) {
      std::copy_n(ends.h[first + d] + b * ends.H, ends.H, h + (b * directions + d) * ends.H);
    }
  }
  return h;
}

template <class T>
void* Pooling<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index width = read.width, stride = static_cast<Index>(modes_.size()) * width;
  T* states = nullptr;
  gave = read;
  gave.ends = nullptr;
  gave.N = read.B;
  gave.offsets = nullptr;
  gave.width = stride;
  gave.rows = lane.give(read.B * stride);
  for (std::size_t mode = 0; mode < modes_.size(); ++mode) {
    if (modes_[mode] != kLast) {
      const Pool<T> p = pool(mode, read, gave.rows);
      parallel(blocks(read.B, kPooled), worthwhile(read.N * width, this->common->inside),
               [&](Index task) { kernels<T>().pool(p, task * kPooled, std::min(read.B, (task + 1) * kPooled)); });
      continue;
    }
    states = last_states(lane.arena, read);
    T* merged = states;
    if (before_->merges()) {
      merged = lane.arena.template get<T>(read.B * width);
      merge_directions(before_->options().merge, states, width, read.B, merged);
    }
    T* const to = gave.rows + static_cast<Index>(mode) * width;
    for (Index b = 0; b < read.B; ++b) std::copy_n(merged + b * width, width, to + b * stride);
  }
  return states;
}

template <class T>
void Pooling<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  const Index width = read.width, stride = gave.width;
  read.drows = lane.arena.template zeros<T>(read.N * width);
  for (std::size_t mode = 0; mode < modes_.size(); ++mode) {
    if (modes_[mode] != kLast) {
      kernels<T>().pool_backward(pool(mode, read, gave.drows), 0, read.B);
      continue;
    }
    const Ends<T>& ends = *read.ends;
    const int directions = before_->directions(), first = ends.count - directions;
    T* d = lane.arena.template get<T>(read.B * width);
    for (Index b = 0; b < read.B; ++b) {
      std::copy_n(gave.drows + b * stride + static_cast<Index>(mode) * width, width, d + b * width);
    }
    if (before_->merges()) {
      T* const apart = lane.arena.template get<T>(read.B * 2 * width);
      part_directions(before_->options().merge, static_cast<const T*>(kept), d, width, read.B, apart);
      d = apart;
    }
    for (Index b = 0; b < read.B; ++b) {
      for (int i = 0; i < directions; ++i) {
        T* const to = ends.dh[first + i] + b * ends.H;
        for (Index k = 0; k < ends.H; ++k) to[k] += d[(b * directions + i) * ends.H + k];
      }
    }
  }
}

template class Pooling<float>;
template class Pooling<double>;

}  // namespace tidegate
