#include "nodes/embed.h"

namespace tidegate {
namespace {

template <class T>
class LiveEmbed final : public LiveNode<T> {
 public:
  explicit LiveEmbed(const LiveTable<T>& rows) : table(rows) {}

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>&) override {
    if (table.unread) return in;
    const Index rows = in.offsets[turn.n], width = table.width;
    T* const x = rows_.template get<T>(rows * width);
    for (Index row = 0; row < rows; ++row) std::copy_n(table.rows + in.ids[row] * width, width, x + row * width);
    return {x, nullptr, nullptr, in.offsets};
  }

  LiveTable<T> table;

 private:
  Buffer rows_;
};

}  // namespace

template <class T>
void Embed<T>::pack(const T* parameters) {
  table_ = parameters;
}

template <class T>
void Embed<T>::begin() {
  const Common& common = *this->common;
  arena_.clear();
  distinct_ = arena_.template get<T>(common.distinct * width_);
  scale_ = common.drops(dropout_) ? arena_.template get<T>(common.distinct) : nullptr;
  for (Index u = 0; u < common.distinct; ++u) {
    const Index id = common.id[u];
    if (scale_) draw_mask(common.draw, place(this->number, kRows), 0, dropout_, id, 1, scale_ + u);
    const T* const from = table_ + id * width_;
    T* const to = distinct_ + u * width_;
    for (Index k = 0; k < width_; ++k) to[k] = scale_ ? from[k] * scale_[u] : from[k];
  }
  touched.begin(common.lanes, common.distinct);
}

template <class T>
void Embed<T>::open(Lane<T>& lane) {
  if (this->common->training) touched.open(lane, lane.tokens);
}

template <class T>
void* Embed<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.width = width_ + beside_;
  gave.wanted = this->common->training;
  if (unread_) return nullptr;
  gave.row_of = nullptr;
  gave.beside = nullptr;
  gave.rows = lane.give(read.N * gave.width);
  for (Index n = 0; n < read.N; ++n) {
    T* const row = std::copy_n(distinct_ + read.row_of[n] * width_, width_, gave.rows + n * gave.width);
    if (beside_) std::copy_n(read.beside + n * beside_, beside_, row);
  }
  return nullptr;
}

template <class T>
void Embed<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!unread_ && lane.gradient) touched.add(lane, read.row_of, read.N, gave.drows, gave.width);
}

template <class T>
void Embed<T>::collect(T* table) const {
  touched.collect(this->common->threads, [&](Index u, const T* sum) {
    T* const to = table + this->common->id[u] * width_;
    for (Index k = 0; k < width_; ++k) to[k] = scale_ ? sum[k] * scale_[u] : sum[k];
  });
}

template <class T>
std::unique_ptr<LiveNode<T>> Embed<T>::live(LivePlan<T>& plan) {
  if (beside_) return Node<T>::live(plan);
  auto made = std::make_unique<LiveEmbed<T>>(LiveTable<T>{table_, rows_, width_, false});
  plan.gave.table = &made->table;
  plan.width = plan.gave.features = width_;
  plan.vocabulary = rows_;
  return made;
}

template class Embed<float>;
template class Embed<double>;

}  // namespace tidegate
