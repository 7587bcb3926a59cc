#include "nodes/take.h"

namespace tidegate {

template <class T>
void* Take<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  Index* const offsets = lane.arena.template get<Index>(read.B + 1);
  offsets[0] = 0;
  for (Index b = 0; b < read.B; ++b) {
    const Index rows = read.offsets[b + 1] - read.offsets[b];
    offsets[b + 1] = offsets[b] + (target_ ? rows - read.cut[b] : read.cut[b]);
  }
  gave = {};
  gave.B = read.B;
  gave.N = offsets[read.B];
  gave.width = read.width;
  gave.offsets = offsets;
  gave.key = read.key;
  gave.wanted = read.wanted;
  gave.rows = lane.give(gave.N * read.width);
  for (Index b = 0; b < read.B; ++b) {
    std::copy_n(read.rows + begin(read, b) * read.width, (offsets[b + 1] - offsets[b]) * read.width,
                gave.rows + offsets[b] * read.width);
  }
  return nullptr;
}

template <class T>
void Take<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  if (!read.wanted) return;
  read.drows = lane.arena.template zeros<T>(read.N * read.width);
  for (Index b = 0; b < read.B; ++b) {
    std::copy_n(gave.drows + gave.offsets[b] * read.width, (gave.offsets[b + 1] - gave.offsets[b]) * read.width,
                read.drows + begin(read, b) * read.width);
  }
}

// The rows of a live target pass as they are: those of its source were read before.
template <class T>
std::unique_ptr<LiveNode<T>> Take<T>::live(LivePlan<T>& plan) {
  if (!plan.source) throw std::invalid_argument("the network reads pairs: a decoder takes their targets step by step");
  return nullptr;
}

template class Take<float>;
template class Take<double>;

}  // namespace tidegate
