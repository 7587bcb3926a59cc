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
      merge_directions(before_->options().merge, states, 2, width, read.B, merged);
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
      part_directions(before_->options().merge, static_cast<const T*>(kept), d, 2, width, read.B, apart);
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

namespace {

// What is kept of each slot: the sums, the largest, the first and the last rows so far, mode after mode.
template <class T>
class LivePooling final : public LivePool<T> {
 public:
  LivePooling(const std::vector<PoolMode>& modes, const Recurrent<T>* before, LivePlan<T>& plan)
      : modes_(modes), before_(before), width_(plan.gave.features), kept_(plan.state.keep(begin(modes.size()))) {}

  // Adds rows to what is kept, in their order, as `pool` of layer/pool.h does with a whole sequence.
  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>& received) override {
    for (Index i = 0; i < turn.n; ++i) {
      for (Index row = in.offsets[i]; row < in.offsets[i + 1]; ++row) {
        add(turn.slot[i], in, row, received[i] == 0 && row == in.offsets[i]);
      }
    }
    return in;
  }

  const T* say(const Index* slot, Index n, const Index* pooled) override {
    const Index stride = static_cast<Index>(modes_.size()) * width_;
    T* const out = out_.template get<T>(n * stride);
    for (Index i = 0; i < n; ++i) {
      for (std::size_t m = 0; m < modes_.size(); ++m) {
        say(modes_[m], kept(slot[i], m), pooled[i], out + i * stride + static_cast<Index>(m) * width_);
      }
    }
    return out;
  }

 private:
  // Where what is kept for a mode begins. The final state of both directions is kept before they are merged.
  Index begin(std::size_t mode) const {
    Index at = 0;
    for (std::size_t m = 0; m < mode; ++m) at += modes_[m] == kLast ? apart() : width_;
    return at;
  }
  Index apart() const { return before_->directions() * before_->options().hidden_size; }
  T* kept(Index slot, std::size_t mode) const { return kept_ + slot * begin(modes_.size()) + begin(mode); }

  void add(Index slot, const LiveRows<T>& in, Index row, bool begins) {
    const Index F = width_;
    const T* const h = in.x + row * F;
    for (std::size_t m = 0; m < modes_.size(); ++m) {
      T* const to = kept(slot, m);
      if (modes_[m] == kLast) {
        const T* const states = in.apart + row * apart();
        const Index ahead = before_->options().reverse ? 0 : before_->options().hidden_size;
        std::copy_n(states, ahead, to);  // the final state of the backward direction lies at the first step
        if (begins) std::copy_n(states + ahead, apart() - ahead, to + ahead);
      } else if (begins) {
        std::copy_n(h, F, to);
      } else if (modes_[m] == kMean) {
        for (Index k = 0; k < F; ++k) to[k] += h[k];
      } else if (modes_[m] == kMax) {
        for (Index k = 0; k < F; ++k) to[k] = h[k] > to[k] || h[k] != h[k] ? h[k] : to[k];
      }
    }
  }

  void say(PoolMode mode, const T* kept, Index steps, T* to) const {
    if (mode == kLast && before_->merges()) {
      merge_directions(before_->options().merge, kept, 2, width_, 1, to);
    } else if (mode == kMean && steps > 0) {
      for (Index k = 0; k < width_; ++k) to[k] = kept[k] / static_cast<T>(steps);
    } else {
      std::copy_n(kept, width_, to);
    }
  }

  const std::vector<PoolMode>& modes_;
  const Recurrent<T>* const before_;
  const Index width_;
  T* const kept_;  // [slots, begin(modes)]
  Buffer out_;
};

}  // namespace

template <class T>
std::unique_ptr<LiveNode<T>> Pooling<T>::live(LivePlan<T>& plan) {
  auto made = std::make_unique<LivePooling<T>>(modes_, before_, plan);
  plan.gave.features *= static_cast<Index>(modes_.size());
  plan.gave.pool = made.get();
  plan.gave.waits = 0;  // it says at any step what it would say at the end
  return made;
}

template class Pooling<float>;
template class Pooling<double>;

}  // namespace tidegate
