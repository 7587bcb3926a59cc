#include "nodes/waves.h"

namespace tidegate {

template <class T>
struct Waves<T>::Run {
  GridRun<T> run;
  T* h;  // [N, directions * H]
};

template <class T>
Index Waves<T>::left_behind() const {
  const GridOptions& o = layer_.options();
  return o.directions * (kGridGates + 4) * o.H;
}

template <class T>
void Waves<T>::pack(const T* parameters) {
  packed_.clear();
  layer_.pack(parameters, this->common->training, packed_);
}

template <class T>
void* Waves<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const GridOptions& o = layer_.options();
  const Index N = read.N, D = o.directions;
  Run& run = *lane.arena.template structs<Run>(1);
  run.run.plan = plan_grid({read.B, read.offsets, read.images}, o.directions, lane.arena);
  const bool keep = this->common->training && !(lane.gradient && computed_again<T>(N, o.H));
  for (int d = 0; d < D; ++d) {
    run.run.kept.gates[d] = keep ? lane.arena.template get<T>(N * kGridGates * o.H) : nullptr;
    run.run.kept.c[d] = lane.arena.template get<T>(N * o.H);
  }
  run.h = merges() ? lane.room(N * D * o.H) : lane.give(N * D * o.H);
  layer_.forward(run.run, read.rows, run.h, this->common->inside);
  gave = read;
  gave.row_of = nullptr;
  gave.ends = nullptr;
  gave.wanted = this->common->training;
  gave.rows = run.h;
  gave.width = D * o.H;
  if (merges()) {
    gave.width = o.H;
    gave.rows = lane.give(N * o.H);
    merge_directions(merge_, run.h, o.directions, o.H, N, gave.rows);
  }
  return &run;
}

template <class T>
void Waves<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  const Run& run = *static_cast<const Run*>(kept);
  const GridOptions& o = layer_.options();
  const T* dh = gave.drows;
  if (merges()) {
    T* const parts = lane.arena.template get<T>(read.N * o.directions * o.H);
    part_directions(merge_, run.h, gave.drows, o.directions, o.H, read.N, parts);
    dh = parts;
  }
  T* const dx = read.wanted ? lane.arena.template get<T>(read.N * o.C) : nullptr;
  T* const gradient = lane.gradient ? lane.gradient + this->offset : nullptr;
  layer_.backward(run.run, read.rows, run.h, dh, gradient != nullptr, gradient, dx, this->common->inside, lane.arena);
  read.drows = dx;
}

template class Waves<float>;
template class Waves<double>;

}  // namespace tidegate
