#include "nodes/join.h"

namespace tidegate {
namespace {

// Copies rows of a part into the columns of the whole that begin at `to`, or the other way round.
template <class T>
void copy_columns(const T* from, Index from_stride, T* to, Index to_stride, Index rows, Index width) {
  for (Index n = 0; n < rows; ++n) std::copy_n(from + n * from_stride, width, to + n * to_stride);
}

}  // namespace

template <class T>
void* Join<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Flow<T>* const parts = &read;
  gave = read;
  gave.ends = nullptr;
  gave.width = width_;
  gave.wanted = this->common->training;
  gave.rows = lane.give(read.N * width_);
  T* to = gave.rows;
  for (std::size_t i = 0; i < parts_; to += parts[i++].width) {
    copy_columns(parts[i].rows, parts[i].width, to, width_, read.N, parts[i].width);
  }
  return nullptr;
}

template <class T>
void Join<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  Flow<T>* const parts = &read;
  const T* from = gave.drows;
  for (std::size_t i = 0; i < parts_; from += parts[i++].width) {
    if (!parts[i].wanted) continue;
    parts[i].drows = lane.arena.template get<T>(read.N * parts[i].width);
    copy_columns(from, gave.width, parts[i].drows, parts[i].width, read.N, parts[i].width);
  }
}

namespace {

template <class T>
class LiveJoin final : public LiveNode<T> {
 public:
  LiveJoin(std::vector<Index> widths, Index width) : widths_(std::move(widths)), width_(width) {}

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>&) override {
    const LiveRows<T>* const parts = &in;
    const Index rows = in.offsets[turn.n];
    T* const whole = out_.template get<T>(rows * width_);
    T* to = whole;
    for (std::size_t i = 0; i < widths_.size(); to += widths_[i++]) {
      copy_columns(parts[i].x, widths_[i], to, width_, rows, widths_[i]);
    }
    return {whole, nullptr, nullptr, in.offsets};
  }

 private:
  const std::vector<Index> widths_;
  const Index width_;
  Buffer out_;
};

}  // namespace

template <class T>
std::unique_ptr<LiveNode<T>> Join<T>::live(LivePlan<T>& plan) {
  std::vector<Index> widths;
  plan.gave.features = width_;
  for (const LivePath<T>& part : plan.read) {
    if (part.waits != plan.read.front().waits) {
      throw std::invalid_argument("the network joins what waits for different numbers of steps");
    }
    widths.push_back(part.features);
  }
  return std::make_unique<LiveJoin<T>>(std::move(widths), width_);
}

template class Join<float>;
template class Join<double>;

}  // namespace tidegate
