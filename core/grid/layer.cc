#include "grid/layer.h"

#include "isa/dispatch.h"
#include "layer/pack.h"
#include "layer/spread.h"

namespace tidegate {
namespace {

constexpr Index kPiece = Index(256) << 10;  // bytes of gates that are walked at a time, to be found in a cache

}  // namespace

// What a way back reads and writes beside the run.
template <class T>
struct GridLayer<T>::Back {
  const T *x, *h, *dh;
  T *gradient, *dx;
  Arena& arena;
  T* dgates;  // from visit `origin` on
  Index origin;
};

template <class T>
void GridLayer<T>::pack(const T* parameters, bool back, Arena& arena) {
  const Index C = o_.C, H = o_.H, units = H * kGridGates * padded<T>(H);
  zero_ = arena.zeros<T>(H);
  for (int d = 0; d < o_.directions; ++d, parameters += each()) {
    const T* const left = parameters + GH() * C;
    const T* const bias = left + 2 * GH() * H;
    Packed& p = packed_[d];
    p.forward_ih = arena.get<T>(C * padded<T>(GH()));
    p.left = arena.get<T>(units);
    p.up = arena.get<T>(units);
    p.bias = arena.get<T>(GH());
    pack_columns(parameters, C, GH(), Index(1), C, p.forward_ih);
    pack_units(left, Index(kGridGates), H, p.left);
    pack_units(left + GH() * H, Index(kGridGates), H, p.up);
    std::copy_n(bias, GH(), p.bias);
    if (!back) continue;
    p.backward_ih = arena.get<T>(GH() * padded<T>(C));
    p.backward_hh = arena.get<T>(2 * GH() * padded<T>(H));
    pack_columns(parameters, GH(), C, C, Index(1), p.backward_ih);
    pack_columns(left, 2 * GH(), H, H, Index(1), p.backward_hh);
  }
}

// Visits of a piece of a tile, more or less: it ends between two waves.
template <class T>
Index GridLayer<T>::span() const {
  return std::max(kLinearRows, kPiece / (GH() * Index(sizeof(T))));
}

// Shares of the rows of a direction's matrices, each of which stays in a cache.
template <class T>
Index GridLayer<T>::shares() const {
  return blocks(each() * Index(sizeof(T)), kPiece);
}

// Where the piece that begins at wave `from` ends; and where the one begins that ends at `to`.
static Index piece_end(const GridTile& tile, Index from, Index span) {
  Index to = from + 1;
  while (to < tile.waves && tile.begin[to + 1] - tile.begin[from] <= span) ++to;
  return to;
}
static Index piece_begin(const GridTile& tile, Index to, Index span) {
  Index from = to - 1;
  while (from > 0 && tile.begin[to] - tile.begin[from - 1] <= span) --from;
  return from;
}

template <class T>
void GridLayer<T>::borrow(const GridLayer& other) {
  std::copy_n(other.packed_, 4, packed_);
  zero_ = other.zero_;
}

template <class T>
void GridLayer<T>::forward(const GridRun<T>& run, const T* x, T* h, int threads) const {
  parallel(run.plan.tiles * o_.directions, worthwhile(run.plan.N * parameters(), threads),
           [&](Index task) { run_tile(run, task / o_.directions, static_cast<int>(task % o_.directions), x, h); });
}

template <class T>
GridForward<T> GridLayer<T>::walk(const GridRun<T>& run, Index tile, int d, const T* h) const {
  GridForward<T> p{};
  p.wave = run.plan.wave(tile, d);
  p.H = o_.H;
  p.w_left = packed_[d].left;
  p.w_up = packed_[d].up;
  p.h = h + d * o_.H;
  p.h_stride = o_.directions * o_.H;
  p.c = run.kept.c[d];
  p.halted = halted;
  return p;
}

// Projects visits first .. last - 1.
template <class T>
void GridLayer<T>::project(const GridRun<T>& run, int d, Index first, Index last, const T* x, T* to) const {
  Linear<T> p{};
  p.x = x;
  p.x_stride = p.K = o_.C;
  p.row_in = run.plan.token[d] + first;
  p.w = packed_[d].forward_ih;
  p.columns = p.y_stride = GH();
  p.bias = packed_[d].bias;
  p.y = to;
  kernels<T>().linear(p, 0, last - first);
}

template <class T>
void GridLayer<T>::run_tile(const GridRun<T>& run, Index index, int d, const T* x, T* h) const {
  const GridTile& tile = run.plan.tile[index];
  GridForward<T> p = walk(run, index, d, h);
  p.out = h + d * o_.H;
  p.out_c = run.kept.c[d];
  T* const memory = scratch<T>(o_.H + (run.kept.gates[d] ? 0 : (span() + tile.widest) * GH()));
  for (Index from = 0, to; from < tile.waves && !halted(); from = to) {
    to = piece_end(tile, from, span());
    p.origin = tile.begin[from];
    p.gates = run.kept.gates[d] ? run.kept.gates[d] + p.origin * GH() : nullptr;
    T* const input = p.gates ? p.gates : memory + o_.H;
    project(run, d, tile.begin[from], tile.begin[to], x, input);
    p.input = input;
    kernels<T>().grid[o_.cell].forward(p, from, to, memory);
  }
}

template <class T>
void GridLayer<T>::backward(const GridRun<T>& run, const T* x, const T* h, const T* dh, bool overwrite, T* gradient,
                            T* dx, int threads, Arena& arena) const {
  const Index N = run.plan.N, D = o_.directions;
  threads = worthwhile(2 * N * parameters(), threads);
  Back back{x, h, dh, gradient, dx, arena, nullptr, 0};
  if (!run.kept.gates[0]) {
    if (dx) std::fill_n(dx, N * o_.C, T(0));
    return parallel(1, 1, [&](Index) {
      for (Index task = 0; task < D * run.plan.tiles; ++task) {
        back_again(run, task % run.plan.tiles, static_cast<int>(task / run.plan.tiles), back);
      }
    });
  }
  T *dgates[4], *dc = arena.get<T>(D * N * 2 * o_.H);
  for (int d = 0; d < D; ++d) dgates[d] = overwrite ? run.kept.gates[d] : arena.get<T>(N * GH());
  parallel(run.plan.tiles * D, threads, [&](Index task) {
    const int d = static_cast<int>(task % D);
    back_tile(run, task / D, d, dh, dgates[d], dc + d * N * 2 * o_.H);
  });
  const Index shares = std::max(blocks(threads, D), this->shares());
  parallel(gradient ? D * shares : 0, threads, [&](Index task) {
    const int d = static_cast<int>(task % D);
    Back own = back;
    own.dgates = dgates[d];
    add_weights(run, d, {task / D, shares}, 0, N, own);
  });
  for (int d = 0; dx && d < D; ++d) add_input(run, d, 0, N, dgates[d], dx, d > 0, threads);
}

template <class T>
GridBackward<T> GridLayer<T>::turn(const GridRun<T>& run, Index tile, int d, const T* dh) const {
  GridBackward<T> p{};
  p.wave = run.plan.wave(tile, d);
  p.H = o_.H;
  p.w = packed_[d].backward_hh;
  p.gates = run.kept.gates[d];
  p.c = run.kept.c[d];
  p.dh = dh + d * o_.H;
  p.h_stride = o_.directions * o_.H;
  p.halted = halted;
  return p;
}

template <class T>
void GridLayer<T>::back_tile(const GridRun<T>& run, Index tile, int d, const T* dh, T* dgates, T* dc) const {
  GridBackward<T> p = turn(run, tile, d, dh);
  p.dgates = dgates;
  p.dc = dc;
  kernels<T>().grid[o_.cell].backward(p, 0, run.plan.tile[tile].waves, scratch<T>(grid_scratch<T>(o_.H)));
}

// Goes back piece by piece, of which each runs forward again for its gates. Behind the rows of a piece stand those of
// the wave that follows it, which was the first of the piece before.
template <class T>
void GridLayer<T>::back_again(const GridRun<T>& run, Index index, int d, Back back) const {
  const GridTile& tile = run.plan.tile[index];
  const Index most = span() + 2 * tile.widest, H = o_.H;
  const Arena::Mark mark = back.arena.mark();
  T *const gates = back.arena.template get<T>(most * GH()), *const dc = back.arena.template get<T>(most * 2 * H);
  back.dgates = gates;
  GridForward<T> there = walk(run, index, d, back.h);
  GridBackward<T> p = turn(run, index, d, back.dh);
  p.gates = p.dgates = there.gates = gates;
  there.input = gates;
  p.dc = dc;
  for (Index to = tile.waves, from; to > 0 && !halted(); to = from) {
    T* const memory = scratch<T>(grid_scratch<T>(H));  // anew: the weights of the piece before may have asked for more
    from = piece_begin(tile, to, span());
    const Index first = tile.begin[from], last = tile.begin[to];
    const Index behind = to < tile.waves ? tile.begin[to + 1] - last : 0;
    std::copy_backward(gates, gates + behind * GH(), gates + (last - first + behind) * GH());
    std::copy_backward(dc, dc + behind * 2 * H, dc + (last - first + behind) * 2 * H);
    back.origin = p.origin = there.origin = first;
    project(run, d, first, last, back.x, gates);
    kernels<T>().grid[o_.cell].forward(there, from, to, memory);
    kernels<T>().grid[o_.cell].backward(p, from, to, memory);
    for (Index i = 0; back.gradient && i < shares(); ++i) add_weights(run, d, {i, shares()}, first, last, back);
    if (back.dx) add_input(run, d, first, last, gates, back.dx, true, 1);
  }
  back.arena.rewind(mark);
}

// Adds to the gradients of the rows of a share: in the matrices of the input, the left neighbour and the upper one, and
// in the bias. All three take what comes back of a block of visits while it is near.
template <class T>
void GridLayer<T>::add_weights(const GridRun<T>& run, int d, Share share, Index first, Index last,
                               const Back& back) const {
  const Index C = o_.C, H = o_.H, stride = o_.directions * H;
  const Index row = share.which * GH() / share.of, rows = (share.which + 1) * GH() / share.of - row;
  const std::int32_t *const token = run.plan.token[d], *const neighbours[] = {nullptr, run.plan.left, run.plan.up};
  T* const memory = scratch<T>(outer_scratch<T>(std::max(C, H)));
  for (Index begin = first; begin < last; begin += kOuterBlock) {
    const Index visits = std::min(last - begin, kOuterBlock);
    T* gradient = back.gradient + d * each();
    for (const std::int32_t* const neighbour : neighbours) {
      const T* states[kOuterBlock];
      for (Index v = begin; v < begin + visits; ++v) {
        states[v - begin] = !neighbour         ? back.x + token[v] * C
                            : neighbour[v] < 0 ? zero_
                                               : back.h + token[neighbour[v]] * stride + d * H;
      }
      Outer<T> outer{};
      outer.a = back.dgates + (begin - back.origin) * GH() + row;
      outer.a_stride = GH();
      outer.rows_m = rows;
      outer.b_row = states;
      outer.columns = neighbour ? H : C;
      outer.out = gradient + row * outer.columns;
      outer.column_sum = neighbour ? nullptr : gradient + GH() * (C + 2 * H) + row;
      kernels<T>().outer(outer, 0, visits, memory);
      gradient += GH() * outer.columns;
    }
  }
}

// dx of visits first .. last - 1, of which `dgates` has the first one.
template <class T>
void GridLayer<T>::add_input(const GridRun<T>& run, int d, Index first, Index last, const T* dgates, T* dx, bool more,
                             int threads) const {
  Linear<T> p{};
  p.x = dgates;
  p.x_stride = p.K = GH();
  p.w = packed_[d].backward_ih;
  p.columns = p.y_stride = o_.C;
  p.y = dx;
  p.row_out = run.plan.token[d] + first;
  p.accumulate = more;
  parallel(blocks(last - first, kLinearRows), threads, [&](Index task) {
    kernels<T>().linear(p, task * kLinearRows, std::min(last - first, (task + 1) * kLinearRows));
  });
}

template class GridLayer<float>;
template class GridLayer<double>;

}  // namespace tidegate
