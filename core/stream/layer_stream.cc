// A layer while rows of live sequences pass.
#include "isa/dispatch.h"
#include "layer/batch.h"
#include "machine/threads.h"
#include "stream/stages.h"

namespace tidegate {
namespace {

// Projects the rows of a layer's input for one of its directions; row i goes to row place[i] of `to`.
template <class T>
struct Project {
  const StreamLayer<T>& layer;
  const StreamDirection<T>& direction;
  const StreamRows<T>& in;
  const std::int32_t* place;
  T* to;  // [*, G*H]

  void operator()(Index column, Index end, Index first, Index last) const {
    const Index C = layer.in, GH = layer.gates();
    if (in.ids) {
      for (Index i = first; i < last; ++i) {
        std::copy_n(direction.table + in.ids[i] * GH + column, end - column, to + place[i] * GH + column);
      }
      return;
    }
    Linear<T> run{};
    run.x = in.x;
    run.x_stride = run.K = C;
    run.w = direction.w_ih + column * C;
    run.columns = end - column;
    run.bias = direction.bias + column;
    run.y = to + column;
    run.y_stride = GH;
    run.row_out = place;
    kernels<T>().linear(run, first, last);
  }
};

// Projects `rows` rows, then runs a cell over n sequences of `steps` steps in all.
template <class T>
void advance(const StreamLayer<T>& layer, const CellForward<T>& run, Index n, Index steps, Index rows, int threads,
             const Project<T>& project) {
  const auto cell = kernels<T>().cell[layer.cell].forward;
  const Index H = layer.H, GH = layer.gates(), size = cell_scratch<T>(H), C = project.in.ids ? 0 : layer.in;
  const int members = sharers<T>(H, GH * (H + C), blocks(n, 6), threads);
  if (members > 1 && n > 0 && n <= kStreamRows) {
    T* const memory = workspace().team.template get<T>(members * size);
    const bool done = team(members, [&](Index member, Meeting& meeting) {
      project(share_begin<T>(GH, member, members), share_begin<T>(GH, member + 1, members), 0, rows);
      meeting.wait();
      cell(run, 0, n, share<T>(H, member, members, meeting), memory + member * size);
    });
    if (done) return;
  }
  const Units all{0, H, halted, nullptr, nullptr};
  if (rows <= kStreamRows && n <= kStreamRows) {
    parallel(1, 1, [&](Index) {
      project(0, GH, 0, rows);
      if (n > 0) cell(run, 0, n, all, scratch<T>(size));
    });
    return;
  }
  parallel(blocks(rows, kStreamRows), worthwhile(rows * GH * C, threads),
           [&](Index task) { project(0, GH, task * kStreamRows, std::min(rows, (task + 1) * kStreamRows)); });
  parallel(blocks(n, kStreamRows), worthwhile(steps * GH * H, threads), [&](Index task) {
    cell(run, task * kStreamRows, std::min(n, (task + 1) * kStreamRows), all, scratch<T>(size));
  });
}

void longest_first(const std::vector<Index>& length, std::vector<std::int32_t>& order) {
  const auto before = [&](std::int32_t a, std::int32_t b) { return length[a] > length[b]; };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
}

}  // namespace

template <class T>
LayerStream<T>::LayerStream(const StreamLayer<T>& layer, Index slots)
    : layer_(layer),
      state_(slots, {{&h_, layer.forward() ? layer.H : 0},
                     {&c_, layer.forward() && kTraits[layer.cell].carries_c ? layer.H : 0},
                     {&held_input_, layer.backward() ? layer.lookahead * layer.gates() : 0},
                     {&held_forward_, layer.backward() && layer.forward() ? layer.lookahead * layer.H : 0}}),
      start_(slots, 0),
      length_(slots, 0) {}

template <class T>
StreamRows<T> LayerStream<T>::pass(const StreamTurn& turn, const std::vector<Index>& received,
                                   const StreamRows<T>& in) {
  segment_.resize(turn.n + 1);
  place_.resize(in.offsets[turn.n]);
  segment_[0] = 0;
  for (Index i = 0; i < turn.n; ++i) {
    const Index at = segment_[i] + held(received[i]), count = in.offsets[i + 1] - in.offsets[i];
    for (Index r = 0; r < count; ++r) place_[in.offsets[i] + r] = static_cast<std::int32_t>(at + r);
    segment_[i + 1] = at + count;
  }
  T* const forward = forward_.template get<T>(layer_.forward() ? segment_[turn.n] * layer_.H : 0);
  if (layer_.forward()) go_on(turn, in);
  if (!layer_.backward()) return {forward, nullptr, forward, in.offsets};
  come_back(turn, received, in);
  return give(turn, received);
}

// Rows that a layer which also runs backward has read before, and not yet given.
template <class T>
Index LayerStream<T>::held(Index received) const {
  return layer_.backward() ? std::min(layer_.lookahead, received) : 0;
}

// Runs the forward direction over the new rows.
template <class T>
void LayerStream<T>::go_on(const StreamTurn& turn, const StreamRows<T>& in) {
  const Index H = layer_.H, GH = layer_.gates(), rows = in.offsets[turn.n];
  if (rows == 0) return;
  order_.resize(turn.n);
  for (Index i = 0; i < turn.n; ++i) {
    const Index slot = turn.slot[i];
    order_[i] = static_cast<std::int32_t>(slot);
    length_[slot] = in.offsets[i + 1] - in.offsets[i];
    start_[slot] = segment_[i + 1] - length_[slot];
  }
  longest_first(length_, order_);
  T* const projected = projected_[0].template get<T>(segment_[turn.n] * GH);
  const StreamDirection<T>& direction = layer_.direction[0];
  CellForward<T> run{};
  run.sequences = {start_.data(), length_.data(), order_.data(), false};
  run.H = H;
  run.input = projected;
  run.input_stride = GH;
  run.w_hh = direction.w_hh;
  run.bias_apart = direction.bias_apart;
  run.h0 = run.hn = h_;
  run.c0 = run.cn = c_;
  run.h = forward_.template get<T>(0);
  run.h_stride = H;
  advance(layer_, run, turn.n, rows, rows, turn.threads, Project<T>{layer_, direction, in, place_.data(), projected});
}

// Runs the backward direction: for each row that is given over the steps ahead of it that are known, from zero.
template <class T>
void LayerStream<T>::come_back(const StreamTurn& turn, const std::vector<Index>& received, const StreamRows<T>& in) {
  const Index H = layer_.H, GH = layer_.gates(), k = layer_.lookahead;
  T* const projected = projected_[1].template get<T>(segment_[turn.n] * GH);
  for (std::vector<Index>* each : {&window_start_, &window_length_, &back_}) each->clear();
  window_row_.clear();
  offsets_.resize(turn.n + 1);
  offsets_[0] = 0;
  for (Index i = 0; i < turn.n; ++i) {
    const Index begin = segment_[i], total = segment_[i + 1] - begin;
    const Index given = turn.ending ? total : std::max<Index>(0, total - k);
    std::copy_n(held_input_ + turn.slot[i] * k * GH, held(received[i]) * GH, projected + begin * GH);
    cut_windows(begin, total, given);
    offsets_[i + 1] = offsets_[i] + given;
  }
  const Index windows = static_cast<Index>(window_start_.size()), steps = static_cast<Index>(window_row_.size());
  window_order_.resize(windows);
  std::iota(window_order_.begin(), window_order_.end(), 0);
  longest_first(window_length_, window_order_);
  T* const ends = ends_.template get<T>(2 * windows * H);
  const StreamDirection<T>& direction = layer_.direction[layer_.directions - 1];
  CellForward<T> run{};
  run.sequences = {window_start_.data(), window_length_.data(), window_order_.data(), true};
  run.H = H;
  run.input = projected;
  run.input_stride = GH;
  run.input_row = window_row_.data();
  run.w_hh = direction.w_hh;
  run.bias_apart = direction.bias_apart;
  run.h = windows_.template get<T>(steps * H);
  run.h_stride = H;
  run.hn = ends;
  run.cn = kTraits[layer_.cell].carries_c ? ends + windows * H : nullptr;
  advance(layer_, run, windows, steps, in.offsets[turn.n], turn.threads,
          Project<T>{layer_, direction, in, place_.data(), projected});
}

// Cuts the rows begin .. begin + total - 1 of one sequence into runs, so that each of the first `given` has one.
template <class T>
void LayerStream<T>::cut_windows(Index begin, Index total, Index given) {
  const Index k = layer_.lookahead;
  for (Index j = 0; j < given;) {
    const bool tail = total - j <= k + 1;  // the run from the end gives all rows that are left
    const Index length = tail ? total - j : k + 1, at = static_cast<Index>(window_row_.size());
    window_start_.push_back(at);
    window_length_.push_back(length);
    for (Index step = 0; step < length; ++step) window_row_.push_back(static_cast<std::int32_t>(begin + j + step));
    const Index from = j;
    for (const Index end = tail ? given : j + 1; j < end; ++j) back_.push_back(at + j - from);
  }
}

// Puts the directions of the rows that are given together, and holds what later rows need.
template <class T>
StreamRows<T> LayerStream<T>::give(const StreamTurn& turn, const std::vector<Index>& received) {
  const Index H = layer_.H, GH = layer_.gates(), k = layer_.lookahead, D = layer_.directions, rows = offsets_[turn.n];
  const T* const windows = windows_.template get<T>(0);
  T* const forward = forward_.template get<T>(0);
  const T* const projected = projected_[1].template get<T>(0);
  T* const out = out_.template get<T>(rows * D * H);
  for (Index i = 0; i < turn.n; ++i) {
    const Index begin = segment_[i], total = segment_[i + 1] - begin, slot = turn.slot[i];
    if (D == 2) std::copy_n(held_forward_ + slot * k * H, held(received[i]) * H, forward + begin * H);
    for (Index row = offsets_[i]; row < offsets_[i + 1]; ++row) {
      if (D == 2) std::copy_n(forward + (begin + row - offsets_[i]) * H, H, out + row * D * H);
      std::copy_n(windows + back_[row] * H, H, out + row * D * H + (D - 1) * H);
    }
    const Index keep = std::min(k, total), from = begin + total - keep;
    std::copy_n(projected + from * GH, keep * GH, held_input_ + slot * k * GH);
    if (D == 2) std::copy_n(forward + from * H, keep * H, held_forward_ + slot * k * H);
  }
  if (D == 1 || layer_.merge == Merge::kConcat) return {out, nullptr, out, offsets_.data()};
  T* const merged = merged_.template get<T>(rows * H);
  merge_directions(layer_.merge, out, H, rows, merged);
  return {merged, nullptr, out, offsets_.data()};
}

template class LayerStream<float>;
template class LayerStream<double>;

}  // namespace tidegate
