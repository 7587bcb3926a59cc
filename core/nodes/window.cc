#include "nodes/window.h"

namespace tidegate {

template <class T>
void* Window<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index C = read.width, width = frames_.width * C;
  frames_.describe(lane.arena, read, width, this->common->training, gave);
  gave.rows = lane.give(gave.N * width);
  for (Index b = 0; b < read.B; ++b) {
    const Index rows = read.offsets[b + 1] - read.offsets[b];
    const T* from = read.rows + read.offsets[b] * C;
    T* to = gave.rows + gave.offsets[b] * width;
    for (Index first = 0; first < rows; first += frames_.stride, from += frames_.stride * C, to += width) {
      const Index numbers = std::min(frames_.width, rows - first) * C;
      std::fill(std::copy_n(from, numbers, to), to + width, T(0));
    }
  }
  return nullptr;
}

template <class T>
void Window<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!read.wanted) return;
  const Index C = read.width;
  read.drows = lane.arena.template zeros<T>(read.N * C);
  for (Index b = 0; b < read.B; ++b) {
    frames_.add_back(gave.drows + gave.offsets[b] * gave.width, gave.offsets[b + 1] - gave.offsets[b],
                     read.offsets[b + 1] - read.offsets[b], C, read.drows + read.offsets[b] * C);
  }
}

namespace {

template <class T>
class LiveWindow final : public LiveFrames<T> {
 public:
  LiveWindow(const Frames& frames, LivePlan<T>& plan)
      : LiveFrames<T>(frames, frames.width * plan.gave.features, plan),
        width_(plan.gave.features),
        step_(frames.stride * (width_ / frames.width)) {}

 private:
  void make(const T* rows, Index count, T* out) override {
    for (Index f = 0; f < count; ++f) std::copy_n(rows + f * step_, width_, out + f * width_);
  }

  const Index width_, step_;  // numbers of a frame, and from one to the next
};

}  // namespace

template <class T>
std::unique_ptr<LiveNode<T>> Window<T>::live(LivePlan<T>& plan) {
  return std::make_unique<LiveWindow<T>>(frames_, plan);
}

template class Window<float>;
template class Window<double>;

}  // namespace tidegate
