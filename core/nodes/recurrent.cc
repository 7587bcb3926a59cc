#include "nodes/recurrent.h"

#include <numeric>

#include "isa/dispatch.h"
#include "layer/spread.h"

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
    : gauge(kTraits[options.cell]),
      o_(options),
      traits_(kTraits[options.cell]),
      GH_(traits_.gates * options.hidden_size),
      table_(table) {
  for (int layer = 0; layer < o_.layers; ++layer) {
    for (int d = 0; d < directions(); ++d) {
      Unit<T> unit{};
      unit.cell = o_.cell;
      unit.inputs = layer == 0 ? o_.input_size : o_.hidden_size * directions();
      unit.H = o_.hidden_size;
      unit.reverse = o_.reverse || d == 1;
      unit.biased = o_.bias;
      parameters_ = unit.settle(parameters_);
      units_.push_back(unit);
    }
  }
}

template <class T>
Index Recurrent<T>::left_behind() const {
  return static_cast<Index>(units_.size()) * (GH_ + (traits_.gated() ? 3 : 2) * o_.hidden_size);
}

template <class T>
void Recurrent<T>::pack(const T* parameters) {
  const Index count = GH_ * o_.hidden_size;
  const bool training = this->common->training;
  packed_.clear();
  for (std::size_t i = 0; i < units_.size(); ++i) {
    T* mask = nullptr;
    if (training && o_.weight_dropout > 0) {
      mask = packed_.template get<T>(count);
      const auto which = static_cast<std::uint32_t>(i);
      draw_mask(this->common->draw, place(this->number, kWeights), which, o_.weight_dropout, 0, count, mask);
    }
    units_[i].pack(parameters, mask, training, packed_);
  }
}

template <class T>
void Recurrent<T>::begin() {
  gauge.begin(this->common->lanes, units_.size());
  if (!table_) return;
  arena_.clear();
  for (int d = 0; d < directions(); ++d) {
    units_[d].project(table_->distinct_rows(), this->common->distinct, this->common->threads, arena_);
  }
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
  static_cast<Run*>(kept)->watched = gauge.watching();
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
    merge_directions(o_.merge, run.layers[o_.layers - 1].h, o_.hidden_size, read.N, gave.rows);
  }
  return &run;
}

template <class T>
void Recurrent<T>::walk_forward(Lane<T>& lane, Run& run, int index, const Flow<T>& flow) {
  CellForward<T> walks[2];
  each_direction(
      run.B, [&](int d) { walks[d] = enter(lane, run, index, d, flow); },
      [&](int d, Index first, Index last, const Units& units, T* memory) {
        kernels<T>().cell[o_.cell].forward(walks[d], first, last, units, memory);
      });
}

// Calls prepare(d), then walk(d, first, last, units, scratch) for all tiles, of a direction at a time while they are in
// the cache of one core, or of both at once where threads share the group.
template <class T>
template <class Prepare, class Tile>
void Recurrent<T>::each_direction(Index B, const Prepare& prepare, const Tile& tile) const {
  const int threads = this->common->inside, together = threads > 1 ? directions() : 1;
  const Walk shape{o_.cell, B, o_.hidden_size, together, threads, rows_of_tiles(B, together, threads, false)};
  for (int begin = 0; begin < directions(); begin += together) {
    for (int d = begin; d < begin + together; ++d) prepare(d);
    walk<T>(shape, 0, [&](Index d, Index first, Index last, const Units& units, T* memory) {
      tile(begin + static_cast<int>(d), first, last, units, memory);
    });
  }
}

// Projects the input of a direction; returns what its cells are to do.
template <class T>
CellForward<T> Recurrent<T>::enter(Lane<T>& lane, Run& run, int index, int d, const Flow<T>& flow) {
  const Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size;
  const bool training = this->common->training, from_table = index == 0 && flow.row_of;
  LayerRun& layer = run.layers[index];
  const int at = index * directions() + d;
  const Unit<T>& unit = units_[at];
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
    multiply(project, run.N, this->common->inside);
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
  return walk;
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
void Recurrent<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  Run& run = *static_cast<Run*>(kept);
  Arena& arena = lane.arena;
  LayerRun& top = run.layers[o_.layers - 1];
  const Index width = directions() * o_.hidden_size;
  top.dh = gave.drows;
  if (gave.rows != top.h) {
    top.dh = arena.template get<T>(run.N * width);
    part_directions(o_.merge, top.h, gave.drows, o_.hidden_size, run.N, top.dh);
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
  CellBackward<T> walks[2];
  each_direction(
      run.B, [&](int d) { walks[d] = turn(lane, run, index, d, ends); },
      [&](int d, Index first, Index last, const Units& units, T* memory) {
        kernels<T>().cell[o_.cell].backward(walks[d], first, last, units, memory);
      });
  for (int d = 0; run.watched && d < directions(); ++d) gauge.reach(lane, index * directions() + d, walks[d], run.B);
}

// What the cells of a direction are to do on the way back.
template <class T>
CellBackward<T> Recurrent<T>::turn(Lane<T>& lane, Run& run, int index, int d, const Ends<T>& ends) {
  Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size;
  LayerRun& layer = run.layers[index];
  const int at = index * directions() + d;
  const Unit<T>& unit = units_[at];
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
  if (run.watched) {
    const bool gated = traits_.gated();
    gauge.count(lane, at, gated ? layer.gates[d] : layer.h + d * H, gated ? GH_ : directions() * H, run.N, H);
  }
  walk.dh0 = starts ? starts->dh[at] : arena.template get<T>(run.B * H);
  if (traits_.carries_c) walk.dc0 = starts ? starts->dc[at] : arena.template get<T>(run.B * H);
  return walk;
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
    const Unit<T>& unit = units_[at];
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
      add_outer(outer, run.N, this->common->inside);
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
    const Unit<T>& unit = units_[index * directions() + d];
    Linear<T> back{};
    back.x = run.layers[index].gates[d];
    back.x_stride = GH_;
    back.w = unit.backward_ih;
    back.K = GH_;
    back.columns = unit.inputs;
    back.y = dx;
    back.y_stride = unit.inputs;
    back.accumulate = d > 0;
    multiply(back, run.N, this->common->inside);
  }
}

// Adds the gate gradients of each token to those of its row of the table.
template <class T>
void Recurrent<T>::sum_by_row(Lane<T>& lane, const Run& run, const Flow<T>& read) {
  std::int32_t* const place = lane.arena.template get<std::int32_t>(run.N);
  TouchedRows<T>& touched = table_->touched;
  const Index before = touched.count(lane);
  for (Index n = 0; n < run.N; ++n) place[n] = static_cast<std::int32_t>(touched.touch(lane, read.row_of[n]));
  parallel(directions(), this->common->inside, [&](Index d) {
    T* const sums = sums_[lane.index * directions() + d];
    std::fill(sums + before * GH_, sums + touched.count(lane) * GH_, T(0));
    kernels<T>().add_rows({run.layers[0].gates[d], GH_, place, sums}, 0, run.N);
  });
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
    const Unit<T>& unit = units_[d];
    const T* const sums = sums_[lane.index * directions() + d];
    Outer<T> outer{};
    outer.a = sums;
    outer.a_stride = GH_;
    outer.rows_m = GH_;
    outer.b_row = x;
    outer.columns = C;
    outer.out = gradient + unit.w_ih;
    outer.column_sum = o_.bias ? gradient + unit.b_ih : nullptr;
    add_outer(outer, rows, this->common->inside);
    Linear<T> back{};
    back.x = sums;
    back.x_stride = GH_;
    back.w = unit.backward_ih;
    back.K = GH_;
    back.columns = C;
    back.y = table_->touched.gradient(lane);
    back.y_stride = C;
    back.accumulate = d > 0;
    multiply(back, rows, this->common->inside);
  }
}

template <class T>
void Recurrent<T>::finish(T* gradient, T*, const T*) {
  const Index H = o_.hidden_size;
  for (const Unit<T>& unit : units_) {
    if (o_.bias) std::copy_n(gradient + unit.b_ih, traits_.shared * H, gradient + unit.b_hh);
    if (!unit.mask) continue;
    T* const w_hh = gradient + unit.w_hh;
    for (Index i = 0; i < GH_ * H; ++i) w_hh[i] *= unit.mask[i];
  }
}

template class Recurrent<float>;
template class Recurrent<double>;

}  // namespace tidegate
