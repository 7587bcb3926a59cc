#include "stream/stream.h"

#include "isa/dispatch.h"
#include "layer/batch.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

constexpr Index kBlock = 64;  // steps of one sequence that pass together, which bounds the room they need

// Columns that one task multiplies: whole groups of panels, so that a part is packed as it is within the whole.
template <class T>
constexpr Index kPart = 16 * 4 * kPanel<T>;

// Projects the rows of a layer's input for one of its directions; row i goes to row place[i] of `to`.
template <class T>
struct Project {
  const StreamStage<T>& stage;
  const StreamDirection<T>& direction;
  const StreamRows<T>& in;
  const std::int32_t* place;
  T* to;  // [*, G*H]

  void operator()(Index column, Index end, Index first, Index last) const {
    const Index C = stage.in, GH = stage.gates();
    if (in.ids) {
      for (Index i = first; i < last; ++i) {
        std::copy_n(direction.table + in.ids[i] * GH + column, end - column, to + place[i] * GH + column);
      }
      return;
    }
    const Linear<T> run{
        in.x,  C,     nullptr,  direction.w_ih + column * C, C, end - column, direction.bias + column, to + column, GH,
        place, false, kIdentity};
    kernels<T>().linear(run, first, last);
  }
};

// Projects `rows` rows, then runs a cell over n sequences of `steps` steps in all.
template <class T>
void advance(const StreamStage<T>& stage, const CellForward<T>& run, Index n, Index steps, Index rows, int threads,
             const Project<T>& project) {
  const auto cell = kernels<T>().cell[stage.cell].forward;
  const Index H = stage.H, GH = stage.gates(), size = cell_scratch<T>(H), C = project.in.ids ? 0 : stage.in;
  const int members = sharers<T>(H, GH * (H + C), blocks(n, 6), threads);
  if (members > 1 && n > 0 && n <= kTileRows) {
    T* const memory = workspace().team.template get<T>(members * size);
    const bool done = team(members, [&](Index member, Meeting& meeting) {
      project(share_begin<T>(GH, member, members), share_begin<T>(GH, member + 1, members), 0, rows);
      meeting.wait();
      cell(run, 0, n, share<T>(H, member, members, meeting), memory + member * size);
    });
    if (done) return;
  }
  const Units all{0, H, halted, nullptr, nullptr};
  if (rows <= kTileRows && n <= kTileRows) {
    parallel(1, 1, [&](Index) {
      project(0, GH, 0, rows);
      if (n > 0) cell(run, 0, n, all, scratch<T>(size));
    });
    return;
  }
  parallel(blocks(rows, kTileRows), worthwhile(rows * GH * C, threads),
           [&](Index task) { project(0, GH, task * kTileRows, std::min(rows, (task + 1) * kTileRows)); });
  parallel(blocks(n, kTileRows), worthwhile(steps * GH * H, threads), [&](Index task) {
    cell(run, task * kTileRows, std::min(n, (task + 1) * kTileRows), all, scratch<T>(size));
  });
}

// Puts two directions [rows, 2H] together; outside of the kernels, whose threads flush denormals.
template <class T>
void merge_rows(Merge merge, const T* from, Index rows, Index H, T* to) {
  for (Index i = 0; i < rows; ++i) {
    const T *const a = from + i * 2 * H, *const b = a + H;
    for (Index k = 0; k < H; ++k) {
      to[i * H + k] = merge == kSum ? a[k] + b[k] : merge == kMultiply ? a[k] * b[k] : (a[k] + b[k]) / 2;
    }
  }
}

// Where what a pool keeps for a mode begins. The final state of both directions is kept before they are merged.
template <class T>
Index pool_at(const StreamStage<T>& stage, Index apart, int mode) {
  Index at = 0;
  for (int m = 0; m < mode; ++m) at += stage.mode[m] == kLast ? apart : stage.in;
  return at;
}

void longest_first(const std::vector<Index>& length, std::vector<std::int32_t>& order) {
  const auto before = [&](std::int32_t a, std::int32_t b) { return length[a] > length[b]; };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
}

}  // namespace

// The sequences that one call takes on, and whether they end with it.
template <class T>
struct Streams<T>::Turn {
  const Index* slot;
  Index n;
  bool ending;
  int threads;
};

template <class T>
Streams<T>::Streams(const StreamNetwork<T>& network, Index capacity) : network_(network), capacity_(capacity) {
  const Index slots = network.pooled() && network.lookahead() > 0 ? 2 * capacity : capacity;
  steps_.assign(slots, 0);
  const StreamStage<T>* before = nullptr;
  for (const StreamStage<T>& stage : network.stages()) {
    StreamRoom<T>& room = rooms_.emplace_back();
    std::vector<std::pair<T**, Index>> wanted;
    if (stage.kind == StreamStage<T>::kLayer) {
      if (stage.forward()) wanted.push_back({&room.h, stage.H});
      if (stage.forward() && kTraits[stage.cell].carries_c) wanted.push_back({&room.c, stage.H});
      if (stage.backward()) wanted.push_back({&room.held_input, stage.lookahead * stage.gates()});
      if (stage.backward() && stage.forward()) wanted.push_back({&room.held_forward, stage.lookahead * stage.H});
      room.start.assign(slots, 0);
      room.length.assign(slots, 0);
    } else if (stage.kind == StreamStage<T>::kPool) {
      const bool layer = before && before->kind == StreamStage<T>::kLayer;
      room.apart = layer ? before->directions * before->H : stage.in;
      wanted.push_back({&room.pool, pool_at(stage, room.apart, stage.modes)});
    }
    Index width = 0;
    for (const auto& each : wanted) width += each.second;
    T* at = room.memory.template get<T>(slots * width);
    std::fill_n(at, slots * width, T(0));
    for (const auto& [place, count] : wanted) {
      *place = at;
      room.kept.push_back({at, count});
      at += slots * count;
    }
    numbers_ += width;
    before = &stage;
  }
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
    const Turn turn{slot, n, ending && begin + kBlock >= longest, threads};
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
StreamRows<T> Streams<T>::first(const Turn& turn, const Index* offsets, Index begin, bool all, const T* x,
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
StreamRows<T> Streams<T>::walk(const Turn& turn, StreamRows<T> rows) {
  Index waited = 0;
  received_.resize(turn.n);
  for (std::size_t index = 0; index < rooms_.size(); ++index) {
    const StreamStage<T>& stage = network_.stages()[index];
    for (Index i = 0; i < turn.n; ++i) received_[i] = std::max<Index>(0, steps_[turn.slot[i]] - waited);
    if (stage.kind == StreamStage<T>::kPool) {
      accumulate(turn, index, rows);
      break;
    }
    if (stage.kind == StreamStage<T>::kLayer) {
      rows = layer(turn, index, rows);
      waited += stage.lookahead;
    } else {
      const Index count = rows.offsets[turn.n];
      T* const y = rooms_[index].out.template get<T>(count * stage.out);
      matrix(stage, rows.x, count, y, turn.threads);
      rows = {y, nullptr, nullptr, rows.offsets};
    }
  }
  return rows;
}

template <class T>
void Streams<T>::matrix(const StreamStage<T>& stage, const T* x, Index rows, T* y, int threads) {
  const Kernels<T>& k = kernels<T>();
  const Index K = stage.in, columns = stage.out, parts = blocks(columns, kPart<T>);
  parallel(parts * blocks(rows, kTileRows), worthwhile(rows * K * columns, threads), [&](Index task) {
    const Index column = task % parts * kPart<T>, end = std::min(columns, column + kPart<T>);
    const Index row = task / parts * kTileRows;
    k.linear({x, K, nullptr, stage.w + column * K, K, end - column, stage.bias + column, y + column, columns, nullptr,
              false, stage.activation},
             row, std::min(rows, row + kTileRows));
  });
}

template <class T>
StreamRows<T> Streams<T>::layer(const Turn& turn, std::size_t index, const StreamRows<T>& in) {
  const StreamStage<T>& stage = network_.stages()[index];
  StreamRoom<T>& room = rooms_[index];
  room.segment.resize(turn.n + 1);
  room.place.resize(in.offsets[turn.n]);
  room.segment[0] = 0;
  for (Index i = 0; i < turn.n; ++i) {
    const Index at = room.segment[i] + held(stage, received_[i]), count = in.offsets[i + 1] - in.offsets[i];
    for (Index r = 0; r < count; ++r) room.place[in.offsets[i] + r] = static_cast<std::int32_t>(at + r);
    room.segment[i + 1] = at + count;
  }
  T* const forward = room.forward.template get<T>(stage.forward() ? room.segment[turn.n] * stage.H : 0);
  if (stage.forward()) go_on(turn, index, in);
  if (!stage.backward()) return {forward, nullptr, forward, in.offsets};
  come_back(turn, index, in);
  return give(turn, index);
}

// Rows that a layer which also runs backward has read before, and not yet given.
template <class T>
Index Streams<T>::held(const StreamStage<T>& stage, Index received) const {
  return stage.backward() ? std::min(stage.lookahead, received) : 0;
}

// Runs the forward direction over the new rows.
template <class T>
void Streams<T>::go_on(const Turn& turn, std::size_t index, const StreamRows<T>& in) {
  const StreamStage<T>& stage = network_.stages()[index];
  StreamRoom<T>& room = rooms_[index];
  const Index H = stage.H, GH = stage.gates(), rows = in.offsets[turn.n];
  if (rows == 0) return;
  room.order.resize(turn.n);
  for (Index i = 0; i < turn.n; ++i) {
    const Index slot = turn.slot[i];
    room.order[i] = static_cast<std::int32_t>(slot);
    room.length[slot] = in.offsets[i + 1] - in.offsets[i];
    room.start[slot] = room.segment[i + 1] - room.length[slot];
  }
  longest_first(room.length, room.order);
  T* const projected = room.projected[0].template get<T>(room.segment[turn.n] * GH);
  const StreamDirection<T>& direction = stage.direction[0];
  const CellForward<T> run{{room.start.data(), room.length.data(), room.order.data(), false},
                           H,
                           projected,
                           GH,
                           nullptr,
                           direction.w_hh,
                           direction.bias_apart,
                           room.h,
                           room.c,
                           nullptr,
                           room.forward.template get<T>(0),
                           H,
                           nullptr,
                           nullptr,
                           room.h,
                           room.c};
  advance(stage, run, turn.n, rows, rows, turn.threads, Project<T>{stage, direction, in, room.place.data(), projected});
}

// Runs the backward direction: for each row that is given over the steps ahead of it that are known, from zero.
template <class T>
void Streams<T>::come_back(const Turn& turn, std::size_t index, const StreamRows<T>& in) {
  const StreamStage<T>& stage = network_.stages()[index];
  StreamRoom<T>& room = rooms_[index];
  const Index H = stage.H, GH = stage.gates(), k = stage.lookahead;
  T* const projected = room.projected[1].template get<T>(room.segment[turn.n] * GH);
  for (std::vector<Index>* each : {&room.window_start, &room.window_length, &room.back}) each->clear();
  room.window_row.clear();
  room.offsets.resize(turn.n + 1);
  room.offsets[0] = 0;
  for (Index i = 0; i < turn.n; ++i) {
    const Index begin = room.segment[i], total = room.segment[i + 1] - begin;
    const Index given = turn.ending ? total : std::max<Index>(0, total - k);
    std::copy_n(room.held_input + turn.slot[i] * k * GH, held(stage, received_[i]) * GH, projected + begin * GH);
    for (Index j = 0; j < given;) {
      const bool tail = total - j <= k + 1;  // the run from the end gives all rows that are left
      const Index length = tail ? total - j : k + 1, at = static_cast<Index>(room.window_row.size());
      room.window_start.push_back(at);
      room.window_length.push_back(length);
      for (Index step = 0; step < length; ++step) {
        room.window_row.push_back(static_cast<std::int32_t>(begin + j + step));
      }
      const Index from = j;
      for (const Index end = tail ? given : j + 1; j < end; ++j) room.back.push_back(at + j - from);
    }
    room.offsets[i + 1] = room.offsets[i] + given;
  }
  const Index windows = static_cast<Index>(room.window_start.size()),
              steps = static_cast<Index>(room.window_row.size());
  room.window_order.resize(windows);
  std::iota(room.window_order.begin(), room.window_order.end(), 0);
  longest_first(room.window_length, room.window_order);
  T* const ends = room.ends.template get<T>(2 * windows * H);
  const StreamDirection<T>& direction = stage.direction[stage.directions - 1];
  const CellForward<T> run{{room.window_start.data(), room.window_length.data(), room.window_order.data(), true},
                           H,
                           projected,
                           GH,
                           room.window_row.data(),
                           direction.w_hh,
                           direction.bias_apart,
                           nullptr,
                           nullptr,
                           nullptr,
                           room.windows.template get<T>(steps * H),
                           H,
                           nullptr,
                           nullptr,
                           ends,
                           kTraits[stage.cell].carries_c ? ends + windows * H : nullptr};
  advance(stage, run, windows, steps, in.offsets[turn.n], turn.threads,
          Project<T>{stage, direction, in, room.place.data(), projected});
}

// Puts the directions of the rows that are given together, and holds what later rows need.
template <class T>
StreamRows<T> Streams<T>::give(const Turn& turn, std::size_t index) {
  const StreamStage<T>& stage = network_.stages()[index];
  StreamRoom<T>& room = rooms_[index];
  const Index H = stage.H, GH = stage.gates(), k = stage.lookahead, D = stage.directions, rows = room.offsets[turn.n];
  const T* const windows = room.windows.template get<T>(0);
  T* const forward = room.forward.template get<T>(0);
  const T* const projected = room.projected[1].template get<T>(0);
  T* const out = room.out.template get<T>(rows * D * H);
  for (Index i = 0; i < turn.n; ++i) {
    const Index begin = room.segment[i], total = room.segment[i + 1] - begin, slot = turn.slot[i];
    if (D == 2) std::copy_n(room.held_forward + slot * k * H, held(stage, received_[i]) * H, forward + begin * H);
    for (Index row = room.offsets[i]; row < room.offsets[i + 1]; ++row) {
      if (D == 2) std::copy_n(forward + (begin + row - room.offsets[i]) * H, H, out + row * D * H);
      std::copy_n(windows + room.back[row] * H, H, out + row * D * H + (D - 1) * H);
    }
    const Index keep = std::min(k, total), from = begin + total - keep;
    std::copy_n(projected + from * GH, keep * GH, room.held_input + slot * k * GH);
    if (D == 2) std::copy_n(forward + from * H, keep * H, room.held_forward + slot * k * H);
  }
  if (D == 1 || stage.merge == kConcat) return {out, nullptr, out, room.offsets.data()};
  T* const merged = room.merged.template get<T>(rows * H);
  merge_rows(stage.merge, out, rows, H, merged);
  return {merged, nullptr, out, room.offsets.data()};
}

// Adds rows to what a pool keeps, in their order, as `pool` of pool.h does with a whole sequence.
template <class T>
void Streams<T>::accumulate(const Turn& turn, std::size_t index, const StreamRows<T>& in) {
  const StreamStage<T>& stage = network_.stages()[index];
  StreamRoom<T>& room = rooms_[index];
  const Index F = stage.in, width = room.kept[0].width;
  const StreamStage<T>* const before = index > 0 ? &network_.stages()[index - 1] : nullptr;
  parallel(1, 1, [&](Index) {
    for (Index i = 0; i < turn.n; ++i) {
      T* const kept = room.pool + turn.slot[i] * width;
      for (Index row = in.offsets[i]; row < in.offsets[i + 1]; ++row) {
        const bool begins = received_[i] == 0 && row == in.offsets[i];
        const T* const h = in.x + row * F;
        for (int m = 0; m < stage.modes; ++m) {
          T* const out = kept + pool_at(stage, room.apart, m);
          if (stage.mode[m] == kLast) {
            const T* const apart = in.apart + row * room.apart;
            const Index ahead = before->forward() ? before->H : 0;
            std::copy_n(apart, ahead, out);  // the final state of the backward direction lies at the first step
            if (begins) std::copy_n(apart + ahead, room.apart - ahead, out + ahead);
          } else if (begins) {
            std::copy_n(h, F, out);
          } else if (stage.mode[m] == kMean) {
            for (Index k = 0; k < F; ++k) out[k] += h[k];
          } else if (stage.mode[m] == kMax) {
            for (Index k = 0; k < F; ++k) out[k] = h[k] > out[k] || h[k] != h[k] ? h[k] : out[k];
          }
        }
      }
    }
  });
}

// Says what a pooled network would say if its sequences ended here. Where rows still wait for steps to come, copies of
// the sequences end.
template <class T>
void Streams<T>::say(const Turn& turn, T* out) {
  const Index* slot = turn.slot;
  if (network_.lookahead() > 0 && !turn.ending) {
    spare_.resize(turn.n);
    std::fill(block_.begin(), block_.end(), 0);
    for (Index i = 0; i < turn.n; ++i) copy(slot[i], spare_[i] = slot[i] + capacity_);
    slot = spare_.data();
    walk({slot, turn.n, true, turn.threads}, {nullptr, nullptr, nullptr, block_.data()});
  }
  std::size_t index = 0;
  while (network_.stages()[index].kind != StreamStage<T>::kPool) ++index;
  const T* x = pooled(slot, turn.n, index);
  for (++index; index < rooms_.size(); ++index) {
    const StreamStage<T>& stage = network_.stages()[index];
    T* const y = rooms_[index].out.template get<T>(turn.n * stage.out);
    matrix(stage, x, turn.n, y, turn.threads);
    x = y;
  }
  std::copy_n(x, turn.n * network_.out(), out);
}

template <class T>
const T* Streams<T>::pooled(const Index* slot, Index n, std::size_t index) {
  const StreamStage<T>& stage = network_.stages()[index];
  const StreamRoom<T>& room = rooms_[index];
  const Index F = stage.in;
  T* const out = pooled_.template get<T>(n * stage.out);
  for (Index i = 0; i < n; ++i) {
    const Index steps = steps_[slot[i]];
    for (int m = 0; m < stage.modes; ++m) {
      const T* const kept = room.pool + slot[i] * room.kept[0].width + pool_at(stage, room.apart, m);
      T* const to = out + i * stage.out + m * F;
      if (stage.mode[m] == kLast && room.apart != F) {
        merge_rows(network_.stages()[index - 1].merge, kept, 1, F, to);
      } else if (stage.mode[m] == kMean && steps > 0) {
        parallel(1, 1, [&](Index) {
          for (Index k = 0; k < F; ++k) to[k] = kept[k] / static_cast<T>(steps);
        });
      } else {
        std::copy_n(kept, F, to);
      }
    }
  }
  return out;
}

template <class T>
void Streams<T>::clear(Index slot) {
  steps_[slot] = 0;
  for (StreamRoom<T>& room : rooms_) {
    for (const StreamKept<T>& kept : room.kept) std::fill_n(kept.data + slot * kept.width, kept.width, T(0));
  }
}

template <class T>
void Streams<T>::copy(Index from, Index to) {
  steps_[to] = steps_[from];
  for (StreamRoom<T>& room : rooms_) {
    for (const StreamKept<T>& kept : room.kept) {
      std::copy_n(kept.data + from * kept.width, kept.width, kept.data + to * kept.width);
    }
  }
}

template <class T>
void Streams<T>::read(Index slot, T* to) const {
  for (const StreamRoom<T>& room : rooms_) {
    for (const StreamKept<T>& kept : room.kept) to = std::copy_n(kept.data + slot * kept.width, kept.width, to);
  }
}

template <class T>
void Streams<T>::write(Index slot, const T* from, Index steps) {
  steps_[slot] = steps;
  for (StreamRoom<T>& room : rooms_) {
    for (const StreamKept<T>& kept : room.kept) {
      std::copy_n(from, kept.width, kept.data + slot * kept.width);
      from += kept.width;
    }
  }
}

template class Streams<float>;
template class Streams<double>;

}  // namespace tidegate
