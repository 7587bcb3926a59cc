#include "nodes/embed.h"

#include "isa/dispatch.h"
#include "machine/threads.h"
#include "program/sum.h"

namespace tidegate {

template <class T>
void Embed<T>::pack(const T* parameters) {
  table_ = parameters;
}

template <class T>
void Embed<T>::begin() {
  const Common& common = *this->common;
  arena_.clear();
  distinct_ = arena_.template get<T>(common.distinct * width_);
  scale_ = common.training && dropout_ > 0 ? arena_.template get<T>(common.distinct) : nullptr;
  for (Index u = 0; u < common.distinct; ++u) {
    const Index id = common.id[u];
    if (scale_) draw_mask(common.draw, place(this->number, kRows), 0, dropout_, id, 1, scale_ + u);
    const T* const from = table_ + id * width_;
    T* const to = distinct_ + u * width_;
    for (Index k = 0; k < width_; ++k) to[k] = scale_ ? from[k] * scale_[u] : from[k];
  }
  touched_.assign(common.lanes, {});
}

template <class T>
void Embed<T>::open(Lane<T>& lane) {
  const Index distinct = this->common->distinct, most = std::min(distinct, lane.tokens);
  Touched& touched = touched_[lane.index];
  touched.place = lane.kept.template get<std::int32_t>(distinct);
  touched.row = lane.kept.template get<std::int32_t>(most);
  touched.gradient = lane.kept.template get<T>(most * width_);
  touched.count = 0;
  touched.most = most;
  std::fill(touched.place, touched.place + distinct, -1);
}

template <class T>
void* Embed<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.width = width_;
  gave.wanted = this->common->training;
  if (unread_) return nullptr;
  gave.rows = lane.arena.template get<T>(read.N * width_);
  for (Index n = 0; n < read.N; ++n) {
    const T* const from = distinct_ + read.row_of[n] * width_;
    std::copy(from, from + width_, gave.rows + n * width_);
  }
  return nullptr;
}

template <class T>
void Embed<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (unread_) return;
  T* const gradient = touched_gradient(lane);
  for (Index n = 0; n < read.N; ++n) {
    bool fresh;
    T* const to = gradient + touch(lane, read.row_of[n], fresh) * width_;
    const T* const from = gave.drows + n * width_;
    for (Index k = 0; k < width_; ++k) to[k] = fresh ? from[k] : to[k] + from[k];
  }
}

template <class T>
void Embed<T>::collect(T* table) const {
  constexpr Index kRows = 256;
  const Common& common = *this->common;
  parallel(blocks(common.distinct, kRows), common.threads, [&](Index task) {
    std::vector<T> memory(common.lanes * width_);
    std::vector<T*> parts(common.lanes);
    for (Index u = task * kRows; u < std::min(common.distinct, (task + 1) * kRows); ++u) {
      for (int lane = 0; lane < common.lanes; ++lane) {
        const Touched& touched = touched_[lane];
        const Index place = touched.place ? touched.place[u] : -1;
        parts[lane] = nullptr;
        if (place < 0) continue;
        const T* const from = touched.gradient + place * width_;
        parts[lane] = memory.data() + lane * width_;
        std::copy(from, from + width_, parts[lane]);
      }
      const T* const sum = sum_as_tree(parts.data(), common.lanes, width_);
      if (!sum) continue;
      T* const to = table + common.id[u] * width_;
      for (Index k = 0; k < width_; ++k) to[k] = scale_ ? sum[k] * scale_[u] : sum[k];
    }
  });
}

template class Embed<float>;
template class Embed<double>;

}  // namespace tidegate
