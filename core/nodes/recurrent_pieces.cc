// Sequences that are too long for their gates to be kept. Time is cut into pieces: on the way forward only the states
// between two pieces are kept, and on the way back each piece is run again from there, and then back, while all that it
// leaves behind is in the cache of one core.
#include "isa/dispatch.h"
#include "nodes/recurrent_run.h"

namespace tidegate {
namespace {

constexpr Index kKept = Index(32) << 20;       // bytes that a direction of a layer may keep of a group
constexpr Index kPieceBytes = Index(1) << 20;  // that a piece leaves behind
constexpr Index kLeastSteps = 32;

// The states of one unit among those of a node.
template <class T>
Ends<T> only(Arena& arena, int count, Index H, int at, T* h, T* c, T* dh, T* dc) {
  Ends<T> ends;
  ends.count = count;
  ends.H = H;
  const auto list = [&](T* states) -> T** {
    if (!states) return nullptr;
    T** const all = arena.get<T*>(count);
    std::fill(all, all + count, nullptr);
    all[at] = states;
    return all;
  };
  ends.h = list(h);
  ends.c = list(c);
  ends.dh = list(dh);
  ends.dc = list(dc);
  return ends;
}

}  // namespace

// Some steps of every sequence in one direction of a layer, laid out as a group of their own.
template <class T>
struct Recurrent<T>::Piece {
  Run run;
  LayerRun layer;
  Flow<T> flow;
  Index* row;  // [N] of the group, for each row of the piece
};

template <class T>
Index Recurrent<T>::steps_of_pieces(const Run& run) const {
  const Index bytes = left_behind() / static_cast<Index>(units_.size()) * Index(sizeof(T));  // of a step of a sequence
  if (run.B == 0 || run.N * bytes <= kKept) return 0;
  const Index steps = std::max(kLeastSteps, kPieceBytes / (run.B * bytes));
  return run.length[run.order[0]] > steps ? steps : 0;
}

// Cuts the piece that begins at step `begin` of the walk in a direction.
template <class T>
typename Recurrent<T>::Piece Recurrent<T>::cut(Lane<T>& lane, const Run& run, const LayerRun& layer, int index, int d,
                                               Index begin, const Flow<T>& flow) const {
  Arena& arena = lane.arena;
  const Unit<T>& unit = units_[index * directions() + d];
  Piece piece{run, {}, {}, arena.template get<Index>(run.B * run.steps)};
  Index* const start = arena.template get<Index>(run.B);
  Index* const length = piece.run.length = arena.template get<Index>(run.B);
  Index rows = 0;
  for (Index b = 0; b < run.B; ++b) {
    const Index left = std::max<Index>(0, run.length[b] - begin);
    length[b] = std::min(left, run.steps);
    const Index from = run.start[b] + (unit.reverse ? left - length[b] : begin);
    start[b] = rows;
    for (Index i = 0; i < length[b]; ++i) piece.row[rows++] = from + i;
  }
  piece.run.N = rows;
  piece.run.start = start;
  piece.flow.key = flow.key;
  piece.layer.h = arena.template get<T>(rows * directions() * o_.hidden_size);
  if (layer.x) {
    T* const x = arena.template get<T>(rows * unit.inputs);
    for (Index n = 0; n < rows; ++n)
      std::copy_n(layer.x + piece.row[n] * unit.inputs, unit.inputs, x + n * unit.inputs);
    piece.layer.x = x;
  } else {
    std::int32_t* const row_of = arena.template get<std::int32_t>(rows);
    for (Index n = 0; n < rows; ++n) row_of[n] = flow.row_of[piece.row[n]];
    piece.flow.row_of = row_of;
  }
  return piece;
}

template <class T>
void Recurrent<T>::go_through(Lane<T>& lane, Piece& piece, int index, int d) {
  const CellForward<T> cells = enter(lane, piece.run, piece.layer, index, d, piece.flow);
  each_tile(piece.run.B, [&](Index first, Index last, const Units& units, T* memory) {
    kernels<T>().cell[o_.cell].forward(cells, first, last, units, memory);
  });
}

template <class T>
template <class Tile>
void Recurrent<T>::each_tile(Index B, const Tile& tile) const {
  const int threads = this->common->inside;
  walk<T>({o_.cell, B, o_.hidden_size, 1, threads, rows_of_tiles(B, 1, threads, false)}, 0,
          [&](Index, Index first, Index last, const Units& units, T* memory) { tile(first, last, units, memory); });
}

template <class T>
void Recurrent<T>::forward_in_pieces(Lane<T>& lane, Run& run, int index, int d, const Flow<T>& flow) {
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size, width = directions() * H, state = run.B * H;
  const Index pieces = blocks(run.length[run.order[0]], run.steps);
  const int at = index * directions() + d, count = o_.layers * directions();
  LayerRun& layer = run.layers[index];
  const auto begin_with = [&](T* const* begun) {
    T* const states = arena.template get<T>(pieces * state);
    if (begun) std::copy_n(begun[at], state, states);
    if (!begun) std::fill_n(states, state, T(0));
    return states;
  };
  layer.h0[d] = begin_with(run.starts ? run.starts->h : nullptr);
  layer.c0[d] = traits_.carries_c ? begin_with(run.starts ? run.starts->c : nullptr) : nullptr;
  for (Index p = 0; p < pieces && !halted(); ++p) {
    const Arena::Mark mark = arena.mark();
    const auto before = [&](T* all) { return all ? all + p * state : nullptr; };
    const auto after = [&](T* all, T** ends) {
      return !all ? nullptr : p + 1 == pieces ? ends[at] : before(all) + state;
    };
    Piece piece = cut(lane, run, layer, index, d, p * run.steps, flow);
    Ends<T> starts = only<T>(arena, count, H, at, before(layer.h0[d]), before(layer.c0[d]), nullptr, nullptr);
    Ends<T> ends = only<T>(arena, count, H, at, after(layer.h0[d], flow.ends->h), after(layer.c0[d], flow.ends->c),
                           nullptr, nullptr);
    piece.run.starts = &starts;
    piece.flow.ends = &ends;
    go_through(lane, piece, index, d);
    for (Index n = 0; n < piece.run.N; ++n) {
      std::copy_n(piece.layer.h + n * width + d * H, H, layer.h + piece.row[n] * width + d * H);
    }
    arena.rewind(mark);
  }
}

template <class T>
void Recurrent<T>::backward_in_pieces(Lane<T>& lane, Run& run, int index, int d, const Ends<T>& ends,
                                      const Flow<T>& read, T* dx) {
  Arena& arena = lane.arena;
  const Index H = o_.hidden_size, width = directions() * H, state = run.B * H,
              inputs = units_[index * directions()].inputs;
  const Index pieces = blocks(run.length[run.order[0]], run.steps);
  const int at = index * directions() + d, count = o_.layers * directions();
  const LayerRun& layer = run.layers[index];
  T* const hn = arena.template get<T>(state);  // what a piece ends in is known already
  T* const cn = traits_.carries_c ? arena.template get<T>(state) : nullptr;
  T *dh = ends.dh[at], *dc = ends.dc ? ends.dc[at] : nullptr;
  CellBackward<T> cells{};
  for (Index p = pieces; p-- > 0 && !halted();) {
    T* const dh0 = p == 0 && run.starts ? run.starts->dh[at] : arena.template get<T>(state);
    T* dc0 = nullptr;
    if (dc) dc0 = p == 0 && run.starts ? run.starts->dc[at] : arena.template get<T>(state);
    const Arena::Mark mark = arena.mark();
    Piece piece = cut(lane, run, layer, index, d, p * run.steps, read);
    T* const c0 = layer.c0[d] ? layer.c0[d] + p * state : nullptr;
    Ends<T> starts = only<T>(arena, count, H, at, layer.h0[d] + p * state, c0, dh0, dc0);
    Ends<T> after = only<T>(arena, count, H, at, hn, cn, dh, dc);
    piece.run.starts = &starts;
    piece.flow.ends = &after;
    go_through(lane, piece, index, d);
    piece.layer.dh = arena.template get<T>(piece.run.N * width);
    for (Index n = 0; n < piece.run.N; ++n) {
      std::copy_n(layer.dh + piece.row[n] * width + d * H, H, piece.layer.dh + n * width + d * H);
    }
    cells = turn(lane, piece.run, piece.layer, index, d, after);
    each_tile(run.B, [&](Index first, Index last, const Units& units, T* memory) {
      kernels<T>().cell[o_.cell].backward(cells, first, last, units, memory);
    });
    add_weights(lane, piece.run, piece.layer, index, d);
    if (dx) {
      T* const own = arena.template get<T>(piece.run.N * inputs);
      find_input(piece.run, piece.layer, index, d, false, own);
      for (Index n = 0; n < piece.run.N; ++n) {
        T* const to = dx + piece.row[n] * inputs;
        for (Index k = 0; k < inputs; ++k) to[k] = d > 0 ? to[k] + own[n * inputs + k] : own[n * inputs + k];
      }
    } else if (!layer.x) {
      add_by_row(lane, piece.layer, d, touch(lane, piece.flow.row_of, piece.run.N), piece.run.N);
    }
    dh = dh0;
    dc = dc0;
    arena.rewind(mark);
  }
  if (!run.watched) return;
  cells.sequences.start = run.start;
  cells.sequences.length = run.length;
  cells.dh = layer.dh + d * H;
  cells.dhn = ends.dh[at];
  gauge.reach(lane, at, cells, run.B);
}

template Index Recurrent<float>::steps_of_pieces(const Run&) const;
template void Recurrent<float>::forward_in_pieces(Lane<float>&, Run&, int, int, const Flow<float>&);
template void Recurrent<float>::backward_in_pieces(Lane<float>&, Run&, int, int, const Ends<float>&, const Flow<float>&,
                                                   float*);
template Index Recurrent<double>::steps_of_pieces(const Run&) const;
template void Recurrent<double>::forward_in_pieces(Lane<double>&, Run&, int, int, const Flow<double>&);
template void Recurrent<double>::backward_in_pieces(Lane<double>&, Run&, int, int, const Ends<double>&,
                                                    const Flow<double>&, double*);

}  // namespace tidegate
