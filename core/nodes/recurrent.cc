#include "nodes/recurrent.h"

#include <cmath>
#include <numeric>

#include "isa/dispatch.h"
#include "layer/batch.h"
#include "layer/pack.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {

// What one layer leaves behind for the way back.
template <class T>
struct Recurrent<T>::LayerRun {
  const T* x;   // [N, inputs] what it read, or null: rows of the table
  T* h;         // [N, directions * H]
  T* dh;        // [N, directions * H] on the way back
  T* gates[2];  // [N, G*H], or null; on the way back their gradients, of a cell without gates, too
  T* memo[2];   // [N, H] or null
  T* mask[2];   // [B, H] of recurrent_dropout, or null
};

template <class T>
struct Recurrent<T>::Run {
  Index B, N;
  const Index* start;  // [B] rows of the sequences
  Index* length;
  std::int32_t* order;
  bool watched;     // rather than cells that go on from here
  Ends<T>* starts;  // what the sequences began in; null: zeros
  LayerRun* layers;
};

template <class T>
Recurrent<T>::Recurrent(const RecurrentOptions& options, Embed<T>* table)
    : o_(options), traits_(kTraits[options.cell]), GH_(traits_.gates * options.hidden_size), table_(table) {
  Index at = 0;
  for (int layer = 0; layer < o_.layers; ++layer) {
    const Index inputs = layer == 0 ? o_.input_size : o_.hidden_size * directions();
    for (int d = 0; d < directions(); ++d) {
      Unit unit{};
      unit.inputs = inputs;
      unit.reverse = o_.reverse || d == 1;
      unit.w_ih = at;
      unit.w_hh = unit.w_ih + GH_ * inputs;
      at = unit.w_hh + GH_ * o_.hidden_size;
      unit.b_ih = unit.b_hh = -1;
      if (o_.bias) {
        unit.b_ih = at;
        unit.b_hh = at + GH_;
        at += 2 * GH_;
      }
      units_.push_back(unit);
    }
  }
}

template <class T>
Index Recurrent<T>::parameters() const {
  const Unit& last = units_.back();
  return o_.bias ? last.b_hh + GH_ : last.w_hh + GH_ * o_.hidden_size;
}

template <class T>
Index Recurrent<T>::left_behind() const {
  return static_cast<Index>(units_.size()) * (GH_ + (traits_.gated() ? 3 : 2) * o_.hidden_size);
}

template <class T>
void Recurrent<T>::pack(Unit& unit, const T* parameters) {
  const Index H = o_.hidden_size, C = unit.inputs;
  const T* const w_ih = parameters + unit.w_ih;
  const T* w_hh = parameters + unit.w_hh;
  unit.mask = nullptr;
  if (this->common->training && o_.weight_dropout > 0) {
    const auto which = static_cast<std::uint32_t>(&unit - units_.data());
    unit.mask = packed_.template get<T>(GH_ * H);
    draw_mask(this->common->draw, place(this->number, kWeights), which, o_.weight_dropout, 0, GH_ * H, unit.mask);
    T* const dropped = packed_.template get<T>(GH_ * H);
    for (Index i = 0; i < GH_ * H; ++i) dropped[i] = w_hh[i] * unit.mask[i];
    w_hh = dropped;
  }
  unit.forward_ih = packed_.template get<T>(C * padded<T>(GH_));
  unit.forward_hh = packed_.template get<T>(H * traits_.gates * padded<T>(H));
  unit.bias = packed_.template get<T>(GH_);
  pack_columns(w_ih, C, GH_, Index(1), C, unit.forward_ih);
  pack_recurrent(o_.cell, w_hh, H, unit.forward_hh);
  Direction<T> direction{};
  if (o_.bias) {
    direction.b_ih = parameters + unit.b_ih;
    direction.b_hh = parameters + unit.b_hh;
  }
  add_biases(o_.cell, direction, H, unit.bias);
  unit.bias_apart = bias_apart(o_.cell, direction, H);
  if (!this->common->training) return;
  unit.backward_ih = packed_.template get<T>(GH_ * padded<T>(C));
  unit.backward_hh = packed_.template get<T>(GH_ * padded<T>(H));
  pack_columns(w_ih, GH_, C, C, Index(1), unit.backward_ih);
  pack_columns(w_hh, GH_, H, H, Index(1), unit.backward_hh);
}

// Projects every distinct row of the table once.
template <class T>
void Recurrent<T>::project(Unit& unit) {
  const Index rows = this->common->distinct;
  unit.projected = arena_.template get<T>(rows * GH_);
  Linear<T> run{};
  run.x = table_->distinct_rows();
  run.x_stride = unit.inputs;
  run.w = unit.forward_ih;
  run.K = unit.inputs;
  run.columns = GH_;
  run.bias = unit.bias;
  run.y = unit.projected;
  run.y_stride = GH_;
  parallel(blocks(rows, kLinearRows), worthwhile(rows * GH_ * unit.inputs, this->common->threads),
           [&](Index task) { kernels<T>().linear(run, task * kLinearRows, std::min(rows, (task + 1) * kLinearRows)); });
}

template <class T>
void Recurrent<T>::pack(const T* parameters) {
  packed_.clear();
  for (Unit& unit : units_) pack(unit, parameters);
}

template <class T>
void Recurrent<T>::begin() {
  Health none;
  none.saturated.resize(units_.size() * traits_.gates);
  none.reach.resize(units_.size());
  if (watched_) health_.assign(this->common->lanes, none);
  if (!table_) return;
  arena_.clear();
  for (int d = 0; d < directions(); ++d) project(units_[d]);
  sums_.assign(this->common->lanes * directions(), nullptr);
}

template <class T>
void Recurrent<T>::open(Lane<T>& lane) {
  if (!table_ || !this->common->training) return;
  const Index most = std::min(this->common->distinct, lane.tokens);
  for (int d = 0; d < directions(); ++d) {
    sums_[lane.index * directions() + d] = lane.kept.template get<T>(most * GH_);
  }
}

template <class T>
void* Recurrent<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index H = o_.hidden_size;
  Ends<T>* starts = nullptr;
  if (carried_.h) {
    starts = lane.arena.template structs<Ends<T>>(1);
    starts->make(lane.arena, o_.layers * directions(), read.B, H, traits_.carries_c, this->common->training);
    for (int i = 0; i < starts->count; ++i) {
      for (Index b = 0; b < read.B; ++b) {
        const Index from = (i * this->common->sequences + read.key[b]) * H;
        std::copy_n(carried_.h + from, H, starts->h[i] + b * H);
        if (starts->c) std::copy_n(carried_.c + from, H, starts->c[i] + b * H);
      }
    }
  }
  void* const kept = run_from(lane, read, starts, gave);
  static_cast<Run*>(kept)->watched = watched_;
  const Ends<T>& ends = *gave.ends;
  for (int i = 0; carried_.hn && i < ends.count; ++i) {
    for (Index b = 0; b < read.B; ++b) {
      const Index to = (i * this->common->sequences + read.key[b]) * H;
      std::copy_n(ends.h[i] + b * H, H, carried_.hn + to);
      if (ends.c) std::copy_n(ends.c[i] + b * H, H, carried_.cn + to);
    }
  }
  return kept;
}

template <class T>
void* Recurrent<T>::run_from(Lane<T>& lane, const Flow<T>& read, Ends<T>* starts, Flow<T>& gave) {
  Arena& arena = lane.arena;
  Run& run = *arena.template structs<Run>(1);
  run.B = read.B;
  run.N = read.N;
  run.starts = starts;
  run.start = read.offsets;
  run.length = arena.template get<Index>(read.B);
  run.order = arena.template get<std::int32_t>(read.B);
  for (Index b = 0; b < read.B; ++b) run.length[b] = read.offsets[b + 1] - read.offsets[b];
  std::iota(run.order, run.order + read.B, 0);
  std::stable_sort(run.order, run.order + read.B,
                   [&](std::int32_t a, std::int32_t b) { return run.length[a] > run.length[b]; });
  run.layers = arena.template structs<LayerRun>(o_.layers);

  Ends<T>& ends = *arena.template structs<Ends<T>>(1);
  ends.make(arena, o_.layers * directions(), read.B, o_.hidden_size, traits_.carries_c, this->common->training);
  gave = read;
  gave.ends = &ends;
  const Index width = directions() * o_.hidden_size;
  const T* x = read.rows;
  for (int index = 0; index < o_.layers; ++index) {
    LayerRun& layer = run.layers[index];
    if (index > 0 && o_.dropout > 0 && this->common->training) {
      T* const dropped = arena.template get<T>(read.N * width);
      drop(read, index, x, dropped);
      x = dropped;
    }
    layer.x = x;
    layer.h = arena.template get<T>(read.N * width);
    walk_forward(lane, run, index, gave);
    x = layer.h;
  }
  gave.row_of = nullptr;
  gave.width = output_size();
  gave.wanted = this->common->training;
  gave.rows = run.layers[o_.layers - 1].h;
  if (merges()) {
    gave.rows = arena.template get<T>(read.N * o_.hidden_size);
    merge(run.layers[o_.layers - 1].h, read.N, gave.rows);
  }
  return &run;
}

template <class T>
void Recurrent<T>::walk_forward(Lane<T>& lane, Run& run, int index, const Flow<T>& flow) {
  const Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Kernels<T>& k = kernels<T>();
  const Index H = o_.hidden_size;
  const bool training = this->common->training, from_table = index == 0 && flow.row_of;
  LayerRun& layer = run.layers[index];
  for (int d = 0; d < directions(); ++d) {
    const int at = index * directions() + d;
    const Unit& unit = units_[at];
    layer.mask[d] = training && o_.recurrent_dropout > 0 ? arena.template get<T>(run.B * H) : nullptr;
    for (Index b = 0; layer.mask[d] && b < run.B; ++b) {
      const std::uint32_t what = place(this->number, kStates, at);
      draw_mask(this->common->draw, what, flow.key[b], o_.recurrent_dropout, 0, H, layer.mask[d] + b * H);
    }
    T* const projected = from_table && !training ? nullptr : arena.template get<T>(run.N * GH_);
    layer.gates[d] = training ? projected : nullptr;
    layer.memo[d] = training && traits_.gated() ? arena.template get<T>(run.N * H) : nullptr;
    if (!from_table) {
      Linear<T> project{};
      project.x = layer.x;
      project.x_stride = unit.inputs;
      project.w = unit.forward_ih;
      project.K = unit.inputs;
      project.columns = GH_;
      project.bias = unit.bias;
      project.y = projected;
      project.y_stride = GH_;
      k.linear(project, 0, run.N);
    }
    CellForward<T> walk{};
    walk.sequences = {run.start, run.length, run.order, unit.reverse};
    walk.H = H;
    walk.input = from_table ? unit.projected : projected;
    walk.input_stride = GH_;
    walk.input_row = from_table ? flow.row_of : nullptr;
    walk.w_hh = unit.forward_hh;
    walk.bias_apart = unit.bias_apart;
    walk.h0 = starts ? starts->h[at] : nullptr;
    walk.c0 = starts && starts->c ? starts->c[at] : nullptr;
    walk.mask = layer.mask[d];
    walk.h = layer.h + d * H;
    walk.h_stride = directions() * H;
    walk.gates = traits_.gated() ? layer.gates[d] : nullptr;
    walk.memo = layer.memo[d];
    walk.hn = flow.ends->h[at];
    walk.cn = flow.ends->c ? flow.ends->c[at] : nullptr;
    tiles<T>(run.B, H, [&](Index first, Index last, const Units& units, T* memory) {
      k.cell[o_.cell].forward(walk, first, last, units, memory);
    });
  }
}

// Of the rows that go on to a layer; on the way back of their gradient.
template <class T>
void Recurrent<T>::drop(const Flow<T>& read, int layer, const T* from, T* to) const {
  const Index width = directions() * o_.hidden_size;
  T mask[kDrawn];
  for (Index b = 0; b < read.B; ++b) {
    const Index first = read.offsets[b] * width, count = (read.offsets[b + 1] - read.offsets[b]) * width;
    for (Index begin = 0; begin < count; begin += kDrawn) {
      const Index drawn = std::min(kDrawn, count - begin);
      draw_mask(this->common->draw, place(this->number, kRows, layer), read.key[b], o_.dropout, begin, drawn, mask);
      for (Index i = 0; i < drawn; ++i) to[first + begin + i] = from[first + begin + i] * mask[i];
    }
  }
}

template <class T>
void Recurrent<T>::merge(const T* h, Index rows, T* merged) const {
  const Index H = o_.hidden_size;
  for (Index n = 0; n < rows; ++n, h += 2 * H, merged += H) {
    for (Index k = 0; k < H; ++k) {
      const T a = h[k], b = h[H + k];
      merged[k] = o_.merge == Merge::kMul ? a * b : o_.merge == Merge::kSum ? a + b : (a + b) / 2;
    }
  }
}

template <class T>
void Recurrent<T>::unmerge(const T* h, const T* dmerged, Index rows, T* dh) const {
  const Index H = o_.hidden_size;
  for (Index n = 0; n < rows; ++n, h += 2 * H, dmerged += H, dh += 2 * H) {
    for (Index k = 0; k < H; ++k) {
      const T d = o_.merge == Merge::kAve ? dmerged[k] / 2 : dmerged[k];
      dh[k] = o_.merge == Merge::kMul ? d * h[H + k] : d;
      dh[H + k] = o_.merge == Merge::kMul ? d * h[k] : d;
    }
  }
}

template <class T>
void Recurrent<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  Run& run = *static_cast<Run*>(kept);
  Arena& arena = lane.arena;
  LayerRun& top = run.layers[o_.layers - 1];
  const Index width = directions() * o_.hidden_size;
  top.dh = gave.drows;
  if (gave.rows != top.h) {
    top.dh = arena.template get<T>(run.N * width);
    unmerge(top.h, gave.drows, run.N, top.dh);
  }
  for (int index = o_.layers - 1; index >= 0; --index) {
    walk_backward(lane, run, index, *gave.ends);
    add_weights(lane, run, index);
    if (index > 0) {
      T* const dx = arena.template get<T>(run.N * width);
      find_input(run, index, dx);
      if (o_.dropout > 0) drop(read, index, dx, dx);
      run.layers[index - 1].dh = dx;
    } else if (!run.layers[0].x) {
      sum_by_row(lane, run, read);
    } else if (read.wanted) {
      read.drows = arena.template get<T>(run.N * o_.input_size);
      find_input(run, 0, read.drows);
    }
  }
}

// Leaves the gradients of the gates where the gates were.
template <class T>
void Recurrent<T>::walk_backward(Lane<T>& lane, Run& run, int index, const Ends<T>& ends) {
  Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Kernels<T>& k = kernels<T>();
  const Index H = o_.hidden_size;
  LayerRun& layer = run.layers[index];
  for (int d = 0; d < directions(); ++d) {
    const Unit& unit = units_[index * directions() + d];
    const int at = index * directions() + d;
    CellBackward<T> walk{};
    walk.sequences = {run.start, run.length, run.order, unit.reverse};
    walk.H = H;
    walk.w_hh = unit.backward_hh;
    walk.h0 = starts ? starts->h[at] : nullptr;
    walk.c0 = starts && starts->c ? starts->c[at] : nullptr;
    walk.mask = layer.mask[d];
    walk.h = layer.h + d * H;
    walk.gates = layer.gates[d];
    walk.memo = layer.memo[d];
    walk.dh = layer.dh + d * H;
    walk.h_stride = directions() * H;
    walk.dhn = ends.dh[at];
    walk.dcn = ends.dc ? ends.dc[at] : nullptr;
    walk.dgates = layer.gates[d];
    walk.dmemo = layer.memo[d];
    if (run.watched) count_saturated(lane, run, index, d);
    walk.dh0 = starts ? starts->dh[at] : arena.template get<T>(run.B * H);
    if (traits_.carries_c) walk.dc0 = starts ? starts->dc[at] : arena.template get<T>(run.B * H);
    tiles<T>(run.B, H, [&](Index first, Index last, const Units& units, T* memory) {
      k.cell[o_.cell].backward(walk, first, last, units, memory);
    });
    if (run.watched) find_reach(lane, run, at, walk);
  }
}

// The gradients of the two matrices and the biases of a layer.
template <class T>
void Recurrent<T>::add_weights(Lane<T>& lane, Run& run, int index) {
  const Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size, shared = traits_.shared * H;
  LayerRun& layer = run.layers[index];
  const T* const zero = arena.template zeros<T>(H);
  std::int32_t* const sequence = arena.template get<std::int32_t>(run.N);
  const T** const before = arena.template get<const T*>(run.N);
  for (int d = 0; d < directions(); ++d) {
    const int at = index * directions() + d;
    const Unit& unit = units_[at];
    T* const gradient = lane.gradient + this->offset;
    find_before(run, layer, d, starts ? starts->h[at] : nullptr, zero, before, sequence);
    const auto add = [&](const T* a, Index rows_m, Index stride, const T* const* b_row, const T* b, Index columns,
                         const T* mask, T* out, T* column_sum) {
      Outer<T> outer{};
      outer.a = a;
      outer.a_stride = stride;
      outer.rows_m = rows_m;
      outer.b = b;
      outer.b_stride = columns;
      outer.b_row = b_row;
      outer.scale = mask;
      outer.scale_row = sequence;
      outer.columns = columns;
      outer.out = out;
      outer.column_sum = column_sum;
      kernels<T>().outer(outer, 0, run.N, scratch<T>(outer_scratch<T>(rows_m, columns)));
    };
    add(layer.gates[d], shared, GH_, before, nullptr, H, layer.mask[d], gradient + unit.w_hh, nullptr);
    if (traits_.one_apart()) {
      add(layer.memo[d], H, H, before, nullptr, H, layer.mask[d], gradient + unit.w_hh + shared * H,
          o_.bias ? gradient + unit.b_hh + shared : nullptr);
    }
    if (!layer.x) continue;
    add(layer.gates[d], GH_, GH_, nullptr, layer.x, unit.inputs, nullptr, gradient + unit.w_ih,
        o_.bias ? gradient + unit.b_ih : nullptr);
  }
}

// Where each token finds the state before it, and which sequence it belongs to.
template <class T>
void Recurrent<T>::find_before(const Run& run, const LayerRun& layer, int d, const T* h0, const T* zero,
                               const T** before, std::int32_t* sequence) const {
  const Index H = o_.hidden_size, stride = directions() * H;
  const bool reverse = o_.reverse || d == 1;
  for (Index b = 0; b < run.B; ++b) {
    const Index begin = run.start[b], end = begin + run.length[b];
    for (Index n = begin; n < end; ++n) {
      const bool is_first = n == (reverse ? end - 1 : begin);
      const T* const initial = h0 ? h0 + b * H : zero;
      before[n] = is_first ? initial : layer.h + (reverse ? n + 1 : n - 1) * stride + d * H;
      sequence[n] = static_cast<std::int32_t>(b);
    }
  }
}

// dx [N, inputs]: the gate gradients of all directions times their input matrices.
template <class T>
void Recurrent<T>::find_input(const Run& run, int index, T* dx) const {
  for (int d = 0; d < directions(); ++d) {
    const Unit& unit = units_[index * directions() + d];
    Linear<T> back{};
    back.x = run.layers[index].gates[d];
    back.x_stride = GH_;
    back.w = unit.backward_ih;
    back.K = GH_;
    back.columns = unit.inputs;
    back.y = dx;
    back.y_stride = unit.inputs;
    back.accumulate = d > 0;
    kernels<T>().linear(back, 0, run.N);
  }
}

// Adds the gate gradients of each token to those of its row of the table.
template <class T>
void Recurrent<T>::sum_by_row(Lane<T>& lane, const Run& run, const Flow<T>& read) {
  std::int32_t* const place = lane.arena.template get<std::int32_t>(run.N);
  TouchedRows<T>& touched = table_->touched;
  const Index before = touched.count(lane);
  for (Index n = 0; n < run.N; ++n) place[n] = static_cast<std::int32_t>(touched.touch(lane, read.row_of[n]));
  for (int d = 0; d < directions(); ++d) {
    T* const sums = sums_[lane.index * directions() + d];
    std::fill(sums + before * GH_, sums + touched.count(lane) * GH_, T(0));
    kernels<T>().add_rows({run.layers[0].gates[d], GH_, place, sums}, 0, run.N);
  }
}

// From the gate gradients of the touched rows: those of the input matrices, their biases, and the rows themselves.
template <class T>
void Recurrent<T>::close(Lane<T>& lane) {
  if (!table_ || !this->common->training) return;
  const Index rows = table_->touched.count(lane), C = o_.input_size;
  T* const gradient = lane.gradient + this->offset;
  const std::int32_t* const row = table_->touched.rows(lane);
  const T** const x = lane.kept.template get<const T*>(rows);
  for (Index i = 0; i < rows; ++i) x[i] = table_->distinct_rows() + row[i] * C;
  for (int d = 0; d < directions(); ++d) {
    const Unit& unit = units_[d];
    const T* const sums = sums_[lane.index * directions() + d];
    Outer<T> outer{};
    outer.a = sums;
    outer.a_stride = GH_;
    outer.rows_m = GH_;
    outer.b_row = x;
    outer.columns = C;
    outer.out = gradient + unit.w_ih;
    outer.column_sum = o_.bias ? gradient + unit.b_ih : nullptr;
    kernels<T>().outer(outer, 0, rows, scratch<T>(outer_scratch<T>(GH_, C)));
    Linear<T> back{};
    back.x = sums;
    back.x_stride = GH_;
    back.w = unit.backward_ih;
    back.K = GH_;
    back.columns = C;
    back.y = table_->touched.gradient(lane);
    back.y_stride = C;
    back.accumulate = d > 0;
    kernels<T>().linear(back, 0, rows);
  }
}

template <class T>
void Recurrent<T>::finish(T* gradient, T*, const T*) {
  const Index H = o_.hidden_size;
  for (const Unit& unit : units_) {
    if (o_.bias) std::copy_n(gradient + unit.b_ih, traits_.shared * H, gradient + unit.b_hh);
    if (!unit.mask) continue;
    T* const w_hh = gradient + unit.w_hh;
    for (Index i = 0; i < GH_ * H; ++i) w_hh[i] *= unit.mask[i];
  }
}

template <class T>
void Recurrent<T>::watch(const Flat* flat) {
  watched_ = flat != nullptr;
  if (flat) flat_ = *flat;
}

// Of the gates of a direction; of a cell without gates, of its state where that is a tanh.
template <class T>
void Recurrent<T>::count_saturated(const Lane<T>& lane, const Run& run, int index, int d) {
  const Index H = o_.hidden_size;
  const LayerRun& layer = run.layers[index];
  if (!traits_.gated() && !traits_.bounded()) return;
  const Index stride = traits_.gated() ? GH_ : directions() * H;
  const T* const values = traits_.gated() ? layer.gates[d] : layer.h + d * H;
  Health& health = health_[lane.index];
  std::int64_t* const counts = health.saturated.data() + (index * directions() + d) * traits_.gates;
  for (int gate = 0; gate < traits_.gates; ++gate) {
    const bool is_tanh = !traits_.gated() || traits_.ends_in_tanh(gate);
    const T low = is_tanh ? -flat_.steep : flat_.low, high = is_tanh ? flat_.steep : flat_.high;
    std::int64_t count = 0;
    for (Index n = 0; n < run.N; ++n) {
      const T* const row = values + n * stride + gate * H;
      for (Index k = 0; k < H; ++k) count += (row[k] < low) | (row[k] > high);
    }
    counts[gate] += count;
  }
  if (index == 0 && d == 0) health.values += run.N * H;
}

// Of every sequence that is not empty: the length of the gradient of the state before the first step, over the longest
// that the loss gives one of its steps by itself.
template <class T>
void Recurrent<T>::find_reach(const Lane<T>& lane, const Run& run, int at, const CellBackward<T>& walk) {
  const Index H = o_.hidden_size;
  const auto square = [&](const T* x) { return x ? kernels<T>().sum_of_squares(x, 0, H) : 0.0; };
  for (Index b = 0; b < run.B; ++b) {
    if (!run.length[b]) continue;
    double near = square(walk.dhn ? walk.dhn + b * H : nullptr);
    for (Index n = run.start[b]; n < run.start[b] + run.length[b]; ++n) {
      near = std::max(near, square(walk.dh + n * walk.h_stride));
    }
    const double far = square(walk.dh0 + b * H) + square(walk.dc0 ? walk.dc0 + b * H : nullptr);
    health_[lane.index].reach[at].push_back(near > 0 ? std::sqrt(far / near) : 0.0);
  }
}

template <class T>
typename Recurrent<T>::Health Recurrent<T>::health() const {
  Health all;
  all.saturated.resize(units_.size() * traits_.gates);
  all.reach.resize(units_.size());
  for (const Health& one : health_) {
    all.values += one.values;
    for (std::size_t i = 0; i < all.saturated.size(); ++i) all.saturated[i] += one.saturated[i];
    for (std::size_t i = 0; i < all.reach.size(); ++i) {
      all.reach[i].insert(all.reach[i].end(), one.reach[i].begin(), one.reach[i].end());
    }
  }
  return all;
}

template class Recurrent<float>;
template class Recurrent<double>;

}  // namespace tidegate
