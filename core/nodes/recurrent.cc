#include "nodes/recurrent.h"

#include <numeric>

#include "isa/dispatch.h"
#include "layer/spread.h"
#include "nodes/recurrent_run.h"

namespace tidegate {

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
  packed_.clear();
  for (std::size_t i = 0; i < units_.size(); ++i) {
    T* mask = nullptr;
    if (this->common->drops(o_.weight_dropout)) {
      mask = packed_.template get<T>(count);
      const auto which = static_cast<std::uint32_t>(i);
      draw_mask(this->common->draw, place(this->number, kWeights), which, o_.weight_dropout, 0, count, mask);
    }
    units_[i].pack(parameters, mask, this->common->training, packed_);
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
  void* const kept = run_from(lane, read, begin_with(lane, &read), gave);
  static_cast<Run*>(kept)->own = true;
  static_cast<Run*>(kept)->watched = gauge.watching();
  const Ends<T>& ends = *gave.ends;
  for (int i = 0; carried_.hn && i < ends.count; ++i) {
    for (Index b = 0; b < read.B; ++b) {
      const Index to = (i * carried_.sequences + read.key[b]) * H;
      std::copy_n(ends.h[i] + b * H, H, carried_.hn + to);
      if (ends.c) std::copy_n(ends.c[i] + b * H, H, carried_.cn + to);
    }
  }
  return kept;
}

// The states that the sequences begin with: those that were carried in, or that another node gave; null: zeros.
template <class T>
Ends<T>* Recurrent<T>::begin_with(Lane<T>& lane, const Flow<T>* read) const {
  if (!carried_.h && !o_.starts) return nullptr;
  const Index H = o_.hidden_size, B = read->B;
  Ends<T>& starts = *lane.arena.template structs<Ends<T>>(1);
  starts.make(lane.arena, o_.layers * directions(), B, H, traits_.carries_c, this->common->training);
  for (int i = 0; i < starts.count; ++i) {
    for (Index b = 0; b < B; ++b) {
      const Index carried = (i * carried_.sequences + read->key[b]) * H;
      const T* const row = o_.starts ? read[1].rows + b * read[1].width + i * H : nullptr;
      std::copy_n(row ? row : carried_.h + carried, H, starts.h[i] + b * H);
      if (starts.c) std::copy_n(row ? row + starts.count * H : carried_.c + carried, H, starts.c[i] + b * H);
    }
  }
  return &starts;
}

// Puts the longest sequences first.
template <class T>
void Recurrent<T>::arrange(Lane<T>& lane, Run& run) {
  run.length = lane.arena.template get<Index>(run.B);
  run.order = lane.arena.template get<std::int32_t>(run.B);
  for (Index b = 0; b < run.B; ++b) run.length[b] = run.start[b + 1] - run.start[b];
  std::iota(run.order, run.order + run.B, 0);
  std::stable_sort(run.order, run.order + run.B,
                   [&](std::int32_t a, std::int32_t b) { return run.length[a] > run.length[b]; });
}

template <class T>
void* Recurrent<T>::run_from(Lane<T>& lane, const Flow<T>& read, Ends<T>* starts, Flow<T>& gave) {
  Arena& arena = lane.arena;
  Run& run = *arena.template structs<Run>(1);
  run.B = read.B;
  run.N = read.N;
  run.starts = starts;
  run.start = read.offsets;
  if (this->common->training) arrange(lane, run);
  run.steps = lane.gradient ? steps_of_pieces(run) : 0;
  run.layers = arena.template structs<LayerRun>(o_.layers);

  Ends<T>& ends = *arena.template structs<Ends<T>>(1);
  ends.make(arena, o_.layers * directions(), read.B, o_.hidden_size, traits_.carries_c, this->common->training);
  gave = read;
  gave.ends = &ends;
  const Index width = directions() * o_.hidden_size;
  const T* x = read.rows;
  for (int index = 0; index < o_.layers; ++index) {
    LayerRun& layer = run.layers[index];
    if (index > 0 && this->common->drops(o_.dropout)) {
      T* const dropped = arena.template get<T>(read.N * width);
      drop(read, index, x, dropped);
      x = dropped;
    }
    layer.x = x;
    layer.h = index + 1 < o_.layers || merges() ? lane.room(read.N * width) : lane.give(read.N * width);
    if (this->common->training) {
      walk_forward(lane, run, index, gave);
    } else {
      walk_through(run, index, gave);
    }
    x = layer.h;
  }
  gave.row_of = nullptr;
  gave.width = output_size();
  gave.wanted = this->common->training;
  gave.rows = run.layers[o_.layers - 1].h;
  if (merges()) {
    gave.rows = lane.give(read.N * o_.hidden_size);
    merge_directions(o_.merge, run.layers[o_.layers - 1].h, directions(), o_.hidden_size, read.N, gave.rows);
  }
  return &run;
}

// Runs a layer of which nothing is kept but what it gives.
template <class T>
void Recurrent<T>::walk_through(const Run& run, int index, const Flow<T>& flow) const {
  const bool from_table = index == 0 && flow.row_of;
  LayerForward<T> p{};
  p.in.cell = o_.cell;
  p.in.N = run.N;
  p.in.B = run.B;
  p.in.C = units_[index * directions()].inputs;
  p.in.H = o_.hidden_size;
  p.in.offsets = run.start;
  p.in.x = run.layers[index].x;
  p.in.directions = directions();
  p.in.threads = worthwhile(run.N * GH_ * (p.in.H + p.in.C), this->common->inside);
  p.h = run.layers[index].h;
  PackedDirection<T> packed[2];
  const T* projected[2];
  for (int d = 0; d < directions(); ++d) {
    const int at = index * directions() + d;
    const Unit<T>& unit = units_[at];
    packed[d] = {unit.forward_ih, unit.forward_hh, unit.bias, unit.bias_apart};
    projected[d] = unit.projected;
    p.in.direction[d].reverse = unit.reverse;
    p.in.direction[d].h0 = run.starts ? run.starts->h[at] : nullptr;
    p.in.direction[d].c0 = run.starts && run.starts->c ? run.starts->c[at] : nullptr;
    p.hn[d] = flow.ends->h[at];
    p.cn[d] = flow.ends->c ? flow.ends->c[at] : nullptr;
  }
  packed_forward(p, packed, from_table ? projected : nullptr, from_table ? flow.row_of : nullptr);
}

template <class T>
void Recurrent<T>::walk_forward(Lane<T>& lane, Run& run, int index, const Flow<T>& flow) {
  LayerRun& layer = run.layers[index];
  if (run.steps) {
    for (int d = 0; d < directions(); ++d) forward_in_pieces(lane, run, index, d, flow);
    return;
  }
  CellForward<T> walks[2];
  each_direction(
      run.B, {0, directions()}, [&](int d) { walks[d] = enter(lane, run, layer, index, d, flow); },
      [&](int d, Index first, Index last, const Units& units, T* memory) {
        kernels<T>().cell[o_.cell].forward(walks[d], first, last, units, memory);
      });
}

// Memory of a direction, which lies behind that of the other one where somebody looks at both.
template <class T>
T* Recurrent<T>::beside(Lane<T>& lane, T* const* each, int d, Index numbers) const {
  if (lane.gradient) return lane.arena.template get<T>(numbers);
  return d == 0 ? lane.arena.template get<T>(directions() * numbers) : each[0] + numbers;
}

// Projects the input of a direction; returns what its cells are to do.
template <class T>
CellForward<T> Recurrent<T>::enter(Lane<T>& lane, const Run& run, LayerRun& layer, int index, int d,
                                   const Flow<T>& flow) {
  const Ends<T>* const starts = run.starts;
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size;
  const bool from_table = index == 0 && flow.row_of;
  const int at = index * directions() + d;
  const Unit<T>& unit = units_[at];
  layer.mask[d] = this->common->drops(o_.recurrent_dropout) ? arena.template get<T>(run.B * H) : nullptr;
  for (Index b = 0; layer.mask[d] && b < run.B; ++b) {
    const std::uint32_t what = place(this->number, kStates, at);
    draw_mask(this->common->draw, what, flow.key[b], o_.recurrent_dropout, 0, H, layer.mask[d] + b * H);
  }
  layer.gates[d] = beside(lane, layer.gates, d, run.N * GH_);
  layer.memo[d] = traits_.gated() ? beside(lane, layer.memo, d, run.N * H) : nullptr;
  if (!from_table) {
    Linear<T> project{};
    project.x = layer.x;
    project.x_stride = unit.inputs;
    project.w = unit.forward_ih;
    project.K = unit.inputs;
    project.columns = GH_;
    project.bias = unit.bias;
    project.y = layer.gates[d];
    project.y_stride = GH_;
    multiply(project, run.N, this->common->inside);
  }
  CellForward<T> walk{};
  walk.sequences = {run.start, run.length, run.order, unit.reverse};
  walk.H = H;
  walk.input = from_table ? unit.projected : layer.gates[d];
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
typename Recurrent<T>::Seen Recurrent<T>::seen(const void* kept, int layer) const {
  const LayerRun& of = static_cast<const Run*>(kept)->layers[layer];
  const bool gated = traits_.gated();
  return {of.h, gated ? of.gates[0] : nullptr, gated ? of.memo[0] : nullptr};
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
