// Recurrent layers while rows of live sequences pass.
#include <deque>
#include <numeric>

#include "isa/dispatch.h"
#include "layer/batch.h"
#include "machine/threads.h"
#include "nodes/recurrent.h"

namespace tidegate {
namespace {

constexpr Index kMostKept = Index(1) << 22;  // numbers of a table that is multiplied by w_ih once and for all

// Projects the rows of a layer's input for one of its directions; row i goes to row place[i] of `to`.
template <class T>
struct Project {
  const Unit<T>& unit;
  const LiveRows<T>& in;
  const std::int32_t* place;
  T* to;  // [*, G*H]

  void operator()(Index column, Index end, Index first, Index last) const {
    const Index C = unit.inputs, GH = unit.columns();
    if (in.ids) {
      for (Index i = first; i < last; ++i) {
        std::copy_n(unit.of_table + in.ids[i] * GH + column, end - column, to + place[i] * GH + column);
      }
      return;
    }
    Linear<T> run{};
    run.x = in.x;
    run.x_stride = run.K = C;
    run.w = unit.forward_ih + column * C;
    run.columns = end - column;
    run.bias = unit.bias + column;
    run.y = to + column;
    run.y_stride = GH;
    run.row_out = place;
    kernels<T>().linear(run, first, last);
  }
};

// Projects `rows` rows, then runs a cell over n sequences of `steps` steps in all.
template <class T>
void advance(const CellForward<T>& run, Index n, Index steps, Index rows, int threads, const Project<T>& project) {
  const Unit<T>& unit = project.unit;
  const auto cell = kernels<T>().cell[unit.cell].forward;
  const Index H = unit.H, GH = unit.columns(), size = cell_scratch<T>(H), C = project.in.ids ? 0 : unit.inputs;
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
    project(0, GH, 0, rows);
    if (n > 0) cell(run, 0, n, all, scratch<T>(size));
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

// The directions of one layer.
template <class T>
class LiveLayer {
 public:
  LiveLayer(const Unit<T>* units, int directions, Merge merge, LivePlan<T>& plan);

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>& received);
  Index ahead() const { return ahead_; }
  // Takes the state of a slot, [H] each.
  void start(Index slot, const T* h, const T* c) {
    std::copy_n(h, H_, h_ + slot * H_);
    if (c_) std::copy_n(c, H_, c_ + slot * H_);
  }

 private:
  bool forward() const { return !units_[0].reverse; }
  bool backward() const { return units_[directions_ - 1].reverse; }
  Index held(Index received) const { return std::min(ahead_, received); }
  void go_on(const LiveTurn& turn, const LiveRows<T>& in);
  void come_back(const LiveTurn& turn, const std::vector<Index>& received, const LiveRows<T>& in);
  void cut_windows(Index begin, Index total, Index given);
  LiveRows<T> give(const LiveTurn& turn, const std::vector<Index>& received);

  const Unit<T>* const units_;
  const int directions_;
  const Merge merge_;
  const Index H_, GH_;
  const Index ahead_;      // rows that must follow before one is given
  T *const h_, *const c_;  // [slots, H] state of the forward direction
  T* const held_input_;    // [slots, ahead, G*H] projected for the backward direction, of rows not yet given
  T* const held_forward_;  // [slots, ahead, H] outputs of the forward direction for these rows

  Buffer out_, merged_, projected_[2], forward_, windows_, ends_;
  std::vector<Index> offsets_;                              // [n + 1] of the rows that are given
  std::vector<Index> segment_;                              // [n + 1] of the rows that were held and those that came
  std::vector<std::int32_t> place_;                         // where among these each row that came stands
  std::vector<Index> start_, length_;                       // [slots] of the forward run
  std::vector<std::int32_t> order_;                         // [n]
  std::vector<Index> window_start_, window_length_, back_;  // of the backward runs; the token of each row that is given
  std::vector<std::int32_t> window_order_, window_row_;
};

template <class T>
LiveLayer<T>::LiveLayer(const Unit<T>* units, int directions, Merge merge, LivePlan<T>& plan)
    : units_(units),
      directions_(directions),
      merge_(merge),
      H_(units->H),
      GH_(units->columns()),
      ahead_(backward() ? plan.lookahead() : 0),
      h_(plan.state.keep(forward() ? H_ : 0)),
      c_(plan.state.keep(forward() && kTraits[units->cell].carries_c ? H_ : 0)),
      held_input_(plan.state.keep(ahead_ * GH_)),
      held_forward_(plan.state.keep(forward() ? ahead_ * H_ : 0)),
      start_(plan.state.slots(), 0),
      length_(plan.state.slots(), 0) {}

template <class T>
LiveRows<T> LiveLayer<T>::pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>& received) {
  segment_.resize(turn.n + 1);
  place_.resize(in.offsets[turn.n]);
  segment_[0] = 0;
  for (Index i = 0; i < turn.n; ++i) {
    const Index at = segment_[i] + held(received[i]), count = in.offsets[i + 1] - in.offsets[i];
    for (Index r = 0; r < count; ++r) place_[in.offsets[i] + r] = static_cast<std::int32_t>(at + r);
    segment_[i + 1] = at + count;
  }
  T* const forward = forward_.template get<T>(this->forward() ? segment_[turn.n] * H_ : 0);
  if (this->forward()) go_on(turn, in);
  if (!backward()) return {forward, nullptr, forward, in.offsets};
  come_back(turn, received, in);
  const LiveRows<T> gave = give(turn, received);
  for (Index& rows : received) rows = std::max<Index>(0, rows - ahead_);
  return gave;
}

// Runs the forward direction over the new rows.
template <class T>
void LiveLayer<T>::go_on(const LiveTurn& turn, const LiveRows<T>& in) {
  const Index rows = in.offsets[turn.n];
  if (rows == 0) return;
  order_.resize(turn.n);
  for (Index i = 0; i < turn.n; ++i) {
    const Index slot = turn.slot[i];
    order_[i] = static_cast<std::int32_t>(slot);
    length_[slot] = in.offsets[i + 1] - in.offsets[i];
    start_[slot] = segment_[i + 1] - length_[slot];
  }
  longest_first(length_, order_);
  T* const projected = projected_[0].template get<T>(segment_[turn.n] * GH_);
  CellForward<T> run{};
  run.sequences = {start_.data(), length_.data(), order_.data(), false};
  run.H = H_;
  run.input = projected;
  run.input_stride = GH_;
  run.w_hh = units_[0].forward_hh;
  run.bias_apart = units_[0].bias_apart;
  run.h0 = run.hn = h_;
  run.c0 = run.cn = c_;
  run.h = forward_.template get<T>(0);
  run.h_stride = H_;
  advance(run, turn.n, rows, rows, turn.threads, Project<T>{units_[0], in, place_.data(), projected});
}

// Runs the backward direction: for each row that is given over the steps ahead of it that are known, from zero.
template <class T>
void LiveLayer<T>::come_back(const LiveTurn& turn, const std::vector<Index>& received, const LiveRows<T>& in) {
  const Index H = H_, GH = GH_, k = ahead_;
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
  const Unit<T>& unit = units_[directions_ - 1];
  CellForward<T> run{};
  run.sequences = {window_start_.data(), window_length_.data(), window_order_.data(), true};
  run.H = H;
  run.input = projected;
  run.input_stride = GH;
  run.input_row = window_row_.data();
  run.w_hh = unit.forward_hh;
  run.bias_apart = unit.bias_apart;
  run.h = windows_.template get<T>(steps * H);
  run.h_stride = H;
  run.hn = ends;
  run.cn = kTraits[unit.cell].carries_c ? ends + windows * H : nullptr;
  advance(run, windows, steps, in.offsets[turn.n], turn.threads, Project<T>{unit, in, place_.data(), projected});
}

// Cuts the rows begin .. begin + total - 1 of one sequence into runs, so that each of the first `given` has one.
template <class T>
void LiveLayer<T>::cut_windows(Index begin, Index total, Index given) {
  const Index k = ahead_;
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
LiveRows<T> LiveLayer<T>::give(const LiveTurn& turn, const std::vector<Index>& received) {
  const Index H = H_, GH = GH_, k = ahead_, D = directions_, rows = offsets_[turn.n];
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
  if (D == 1 || merge_ == Merge::kConcat) return {out, nullptr, out, offsets_.data()};
  T* const merged = merged_.template get<T>(rows * H);
  merge_directions(merge_, out, 2, H, rows, merged);
  return {merged, nullptr, out, offsets_.data()};
}

template <class T>
class LiveRecurrent final : public LiveNode<T> {
 public:
  LiveRecurrent(const std::vector<Unit<T>>& units, const RecurrentOptions& options, LivePlan<T>& plan) {
    const int directions = static_cast<int>(units.size()) / options.layers;
    for (int layer = 0; layer < options.layers; ++layer) {
      const Merge merge = layer == options.layers - 1 ? options.merge : Merge::kConcat;
      layers_.emplace_back(units.data() + layer * directions, directions, merge, plan);
    }
    if (!options.starts) return;
    if (!plan.source || !plan.read[1].aside)
      throw std::invalid_argument("the network begins with what is not known yet");
    H_ = options.hidden_size;
  }

  void open(Index source, const Flow<T>* const* read, Index b, int) override {
    if (!H_) return;
    if (source >= static_cast<Index>(starts_.size())) starts_.resize(source + 1);
    const T* const row = read[0]->rows + b * read[0]->width;
    starts_[source].assign(row, row + read[0]->width);
  }
  void close(Index source) override {
    if (source < static_cast<Index>(starts_.size())) starts_[source] = {};
  }
  void start(Index slot, Index source) override {
    const T* h = H_ ? starts_[source].data() : nullptr;
    for (LiveLayer<T>& layer : layers_) {
      if (h) layer.start(slot, h, h + H_ * static_cast<Index>(layers_.size()));
      h = h ? h + H_ : nullptr;
    }
  }

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>& received) override {
    LiveRows<T> rows = in;
    for (LiveLayer<T>& layer : layers_) rows = layer.pass(turn, rows, received);
    return rows;
  }
  Index due(Index received, bool ending) const override {
    for (const LiveLayer<T>& layer : layers_)
      received = ending ? received : std::max<Index>(0, received - layer.ahead());
    return received;
  }

 private:
  std::deque<LiveLayer<T>> layers_;
  Index H_ = 0;                         // where sequences begin with the states that a source gave; else zero
  std::vector<std::vector<T>> starts_;  // of each source, [layers * H] of h, and of c
};

}  // namespace

template <class T>
std::unique_ptr<LiveNode<T>> Recurrent<T>::live(LivePlan<T>& plan) {
  LiveTable<T>* const table = plan.read.front().table;
  if (table && table->count * GH_ <= kMostKept) {
    table->unread = true;
    for (int d = 0; d < directions(); ++d) {
      if (units_[d].of_table) continue;  // made by streams that began before
      Unit<T> all = units_[d];
      all.project(table->rows, table->count, 1, packed_);
      units_[d].of_table = all.projected;
    }
  }
  plan.gave.features = output_size();
  return std::make_unique<LiveRecurrent<T>>(units_, o_, plan);
}

template std::unique_ptr<LiveNode<float>> Recurrent<float>::live(LivePlan<float>&);
template std::unique_ptr<LiveNode<double>> Recurrent<double>::live(LivePlan<double>&);

}  // namespace tidegate
