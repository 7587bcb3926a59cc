// Rows of a sequence cut into frames that may overlap: frame f is rows f * stride .. f * stride + width - 1, zeros
// where the sequence has ended. Shared by the nodes that read them.
#pragma once

#include "program/node.h"

namespace tidegate {

struct Frames {
  Index width, stride;

  // Of a sequence of so many rows; and of one that goes on behind them, those that are complete.
  Index whole(Index rows) const { return blocks(rows, stride); }
  Index complete(Index rows) const { return rows < width ? 0 : (rows - width) / stride + 1; }
  Index due(Index rows, bool ending) const { return ending ? whole(rows) : complete(rows); }
  void count(Extent& extent) const { extent.rows = extent.sequences * whole(extent.rows / extent.sequences); }
  // Rows that so many frames reach over, side by side.
  Index reach(Index frames) const { return frames ? (frames - 1) * stride + width : 0; }

  // [B + 1] where the frames of each sequence begin.
  template <class T>
  Index* offsets(Arena& arena, const Flow<T>& read) const {
    Index* const begin = arena.get<Index>(read.B + 1);
    begin[0] = 0;
    for (Index b = 0; b < read.B; ++b) begin[b + 1] = begin[b] + whole(read.offsets[b + 1] - read.offsets[b]);
    return begin;
  }
  // A flow of the frames in place of the rows.
  template <class T>
  void describe(Arena& arena, const Flow<T>& read, Index width, bool wanted, Flow<T>& gave) const {
    gave = {};
    gave.B = read.B;
    gave.offsets = offsets(arena, read);
    gave.N = gave.offsets[read.B];
    gave.width = width;
    gave.key = read.key;
    gave.wanted = wanted;
  }
  // What the frames of a sequence were given, added to the rows that they were made of.
  template <class T>
  void add_back(const T* dframes, Index count, Index rows, Index features, T* drows) const {
    for (Index f = 0; f < count; ++f, dframes += width * features) {
      const Index first = f * stride, numbers = (first + width < rows ? width : rows - first) * features;
      for (Index i = 0; i < numbers; ++i) drows[first * features + i] += dframes[i];
    }
  }
};

// Frames of live sequences; what it keeps of each are the rows that later frames begin with.
template <class T>
class LiveFrames : public LiveNode<T> {
 public:
  // `made`: numbers that are made of a frame.
  LiveFrames(const Frames& frames, Index made, LivePlan<T>& plan)
      : frames_(frames),
        features_(plan.gave.features),
        made_(made),
        room_((frames.width - 1) * features_),
        held_(plan.state.keep(room_)) {
    plan.gave.waits += (frames.width - 1) * plan.gave.stride;
    plan.gave.stride *= frames.stride;
    plan.gave.features = made;
  }

  Index due(Index received, bool ending) const override { return frames_.due(received, ending); }

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>& received) override {
    offsets_.resize(turn.n + 1);
    offsets_[0] = 0;
    for (Index i = 0; i < turn.n; ++i) {
      const Index now = received[i] + in.offsets[i + 1] - in.offsets[i];
      offsets_[i + 1] = offsets_[i] + frames_.due(now, turn.ending) - frames_.complete(received[i]);
    }
    T* const out = out_.template get<T>(offsets_[turn.n] * made_);
    for (Index i = 0; i < turn.n; ++i) {
      const Index before = received[i], came = in.offsets[i + 1] - in.offsets[i];
      T* const held = held_ + turn.slot[i] * room_;
      received[i] = frames_.complete(before);
      go_on(held, in.x + in.offsets[i] * features_, before, came, offsets_[i + 1] - offsets_[i],
            out + offsets_[i] * made_);
    }
    return {out, nullptr, nullptr, offsets_.data()};
  }

 protected:
  // Makes `count` frames of rows that lie end to end.
  virtual void make(const T* rows, Index count, T* out) = 0;

 private:
  // Takes one sequence, of which so many rows came `before`, on by those that `came`.
  void go_on(T* held, const T* x, Index before, Index came, Index count, T* out) {
    const Index begin = frames_.complete(before) * frames_.stride;  // the row that the next frame begins with
    const Index kept = std::max<Index>(0, before - begin), skipped = std::max<Index>(0, begin - before);
    const Index fresh = std::max<Index>(0, came - skipped), known = kept + fresh;
    const Index size = std::max(known, frames_.reach(count));
    T* const rows = rows_.template get<T>(size * features_);
    std::copy_n(held, kept * features_, rows);
    std::copy_n(x + (came - fresh) * features_, fresh * features_, rows + kept * features_);
    std::fill(rows + known * features_, rows + size * features_, T(0));
    make(rows, count, out);
    const Index left = std::max<Index>(0, known - count * frames_.stride);
    std::copy_n(rows + (known - left) * features_, left * features_, held);
  }

  const Frames frames_;
  const Index features_, made_, room_;
  T* const held_;  // [slots, room_]
  Buffer rows_, out_;
  std::vector<Index> offsets_;  // [n + 1]
};

}  // namespace tidegate
