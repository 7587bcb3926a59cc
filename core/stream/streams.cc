#include "stream/streams.h"

#include <algorithm>

namespace tidegate {
namespace {

constexpr Index kBlock = 64;  // steps of one sequence that pass together, which bounds the room they need

}  // namespace

template <class T>
Streams<T>::Streams(const StreamNetwork<T>& network, Index capacity) : network_(network), capacity_(capacity) {
  const Index slots = network.pooled() && network.lookahead() > 0 ? 2 * capacity : capacity;
  steps_.assign(slots, 0);
  for (const StreamStage<T>& stage : network.stages()) {
    if (const auto* matrix = std::get_if<StreamMatrix<T>>(&stage)) {
      stages_.emplace_back(std::in_place_type<MatrixStream<T>>, *matrix);
    } else if (const auto* layer = std::get_if<StreamLayer<T>>(&stage)) {
      stages_.emplace_back(std::in_place_type<LayerStream<T>>, *layer, slots);
      states_.push_back(&std::get<LayerStream<T>>(stages_.back()).state());
    } else {
      stages_.emplace_back(std::in_place_type<PoolStream<T>>, std::get<StreamPool<T>>(stage), slots);
      states_.push_back(&std::get<PoolStream<T>>(stages_.back()).state());
    }
  }
  for (const StreamState<T>* state : states_) numbers_ += state->numbers();
}

template <class T>
bool Streams<T>::distinct(const Index* slot, Index n) {
  seen_.assign(capacity_, 0);
  for (Index i = 0; i < n; ++i) {
    if (slot[i] < 0 || slot[i] >= capacity_ || seen_[slot[i]]++) return false;
  }
  return true;
}

template <class T>
Index Streams<T>::rows_after(Index slot, Index steps, bool ending) const {
  if (network_.pooled()) return 1;
  const Index wait = network_.lookahead(), now = steps_[slot], then = now + steps;
  return (ending ? then : std::max<Index>(0, then - wait)) - std::max<Index>(0, now - wait);
}

template <class T>
void Streams<T>::run(const Index* slot, const Index* offsets, Index n, const T* x, const std::int32_t* ids, bool ending,
                     T* out, int threads) {
  const Index width = network_.out();
  Index longest = 0;
  written_.assign(n + 1, 0);
  for (Index i = 0; i < n; ++i) {
    longest = std::max(longest, offsets[i + 1] - offsets[i]);
    written_[i + 1] = written_[i] + rows_after(slot[i], offsets[i + 1] - offsets[i], ending);
  }
  block_.resize(n + 1);
  for (Index begin = 0; begin == 0 || begin < longest; begin += kBlock) {
    const StreamTurn turn{slot, n, ending && begin + kBlock >= longest, threads};
    block_[0] = 0;
    for (Index i = 0; i < n; ++i) {
      const Index left = offsets[i + 1] - offsets[i] - begin;
      block_[i + 1] = block_[i] + std::clamp<Index>(left, 0, kBlock);
    }
    const StreamRows<T> rows = walk(turn, first(turn, offsets, begin, longest <= kBlock, x, ids));
    for (Index i = 0; i < n; ++i) steps_[slot[i]] += block_[i + 1] - block_[i];
    if (network_.pooled()) continue;
    for (Index i = 0; i < n; ++i) {
      const Index count = rows.offsets[i + 1] - rows.offsets[i];
      std::copy_n(rows.x + rows.offsets[i] * width, count * width, out + written_[i] * width);
      written_[i] += count;
    }
  }
  if (network_.pooled()) say({slot, n, ending, threads}, out);
}

// The rows of a block, as the first node reads them.
template <class T>
StreamRows<T> Streams<T>::first(const StreamTurn& turn, const Index* offsets, Index begin, bool all, const T* x,
                                const std::int32_t* ids) {
  const Index C = network_.width(), rows = block_[turn.n];
  if (all && ids && network_.kept()) return {nullptr, ids, nullptr, block_.data()};
  if (all && !ids) return {x, nullptr, nullptr, block_.data()};
  ids_.resize(rows);
  T* const to = input_.template get<T>(rows * C);
  for (Index i = 0, row = 0; i < turn.n; ++i) {
    for (Index n = offsets[i] + begin; row < block_[i + 1]; ++n, ++row) {
      if (ids) ids_[row] = ids[n];
      if (!ids || !network_.kept()) std::copy_n(ids ? network_.table() + ids[n] * C : x + n * C, C, to + row * C);
    }
  }
  return {to, ids && network_.kept() ? ids_.data() : nullptr, nullptr, block_.data()};
}

// Takes rows through the nodes, up to and into the pool where there is one.
template <class T>
StreamRows<T> Streams<T>::walk(const StreamTurn& turn, StreamRows<T> rows) {
  Index waited = 0;
  received_.resize(turn.n);
  for (Stage& stage : stages_) {
    for (Index i = 0; i < turn.n; ++i) received_[i] = std::max<Index>(0, steps_[turn.slot[i]] - waited);
    if (auto* pool = std::get_if<PoolStream<T>>(&stage)) {
      pool->pass(turn, received_, rows);
      break;
    }
    if (auto* layer = std::get_if<LayerStream<T>>(&stage)) {
      rows = layer->pass(turn, received_, rows);
      waited += layer->lookahead();
    } else {
      rows = std::get<MatrixStream<T>>(stage).pass(turn, rows);
    }
  }
  return rows;
}

// Says what a pooled network would say if its sequences ended here. Where rows still wait for steps to come, copies of
// the sequences end.
template <class T>
void Streams<T>::say(const StreamTurn& turn, T* out) {
  const Index* slot = turn.slot;
  if (network_.lookahead() > 0 && !turn.ending) {
    spare_.resize(turn.n);
    std::fill(block_.begin(), block_.end(), 0);
    for (Index i = 0; i < turn.n; ++i) copy(slot[i], spare_[i] = slot[i] + capacity_);
    slot = spare_.data();
    walk({slot, turn.n, true, turn.threads}, {nullptr, nullptr, nullptr, block_.data()});
  }
  const T* x = nullptr;
  for (Stage& stage : stages_) {
    if (auto* pool = std::get_if<PoolStream<T>>(&stage)) {
      x = pool->say(slot, turn.n, steps_);
    } else if (x) {
      x = std::get<MatrixStream<T>>(stage).multiply(x, turn.n, turn.threads);
    }
  }
  std::copy_n(x, turn.n * network_.out(), out);
}

template <class T>
void Streams<T>::clear(Index slot) {
  steps_[slot] = 0;
  for (StreamState<T>* state : states_) state->clear(slot);
}

template <class T>
void Streams<T>::copy(Index from, Index to) {
  steps_[to] = steps_[from];
  for (StreamState<T>* state : states_) state->copy(from, to);
}

template <class T>
void Streams<T>::read(Index slot, T* to) const {
  for (const StreamState<T>* state : states_) to = state->read(slot, to);
}

template <class T>
void Streams<T>::write(Index slot, const T* from, Index steps) {
  steps_[slot] = steps;
  for (StreamState<T>* state : states_) from = state->write(slot, from);
}

template class Streams<float>;
template class Streams<double>;

}  // namespace tidegate
