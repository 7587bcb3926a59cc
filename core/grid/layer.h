// A layer of cells of grids in 1, 2 or 4 directions over images of any size, forward and backward: packs weights,
// projects cells, cuts the work into tasks. Knows arrays alone; shapes are checked by the caller.
#pragma once

#include "grid/plan.h"
#include "layer/layer.h"

namespace tidegate {

struct GridOptions {
  int cell;        // its place in kGridTraits
  int directions;  // 1, 2 or 4
  Index C, H;
};

// What a run leaves for the way back, by direction; both by visit.
template <class T>
struct GridKept {
  T* gates[4];  // [N, 5*H]; null: they are computed again, some waves at a time
  T* c[4];      // [N, H]
};

template <class T>
struct GridRun {
  GridPlan plan;
  GridKept<T> kept;
};

// Whether the gates of so many cells are too large to be kept.
template <class T>
bool computed_again(Index N, Index H) {
  constexpr Index kKept = Index(64) << 20;  // bytes of a direction
  return N * kGridGates * H * Index(sizeof(T)) > kKept;
}

template <class T>
class GridLayer {
 public:
  explicit GridLayer(const GridOptions& options) : o_(options) {}

  const GridOptions& options() const { return o_; }
  // Of each direction, one after the other: weight_ih [5*H, C], weight_left [5*H, H], weight_up [5*H, H], bias [5*H].
  Index parameters() const { return o_.directions * each(); }

  // `back`: whether there will be a way back. What is packed lies in the arena.
  void pack(const T* parameters, bool back, Arena& arena);

  // Packed weights of another layer, which stay there.
  void borrow(const GridLayer& other);

  // x [N, C] -> h [N, directions * H], and `run.kept`.
  void forward(const GridRun<T>& run, const T* x, T* h, int threads) const;

  // Adds to `gradient` [parameters] and writes dx [N, C], each unless null. Where the gradient takes the place of the
  // gates, as `overwrite` allows, the run cannot be gone back through again.
  void backward(const GridRun<T>& run, const T* x, const T* h, const T* dh, bool overwrite, T* gradient, T* dx,
                int threads, Arena& arena) const;

 private:
  struct Packed {
    T *forward_ih, *left, *up, *bias, *backward_ih, *backward_hh;
  };
  struct Back;
  struct Share {
    Index which, of;
  };

  Index GH() const { return kGridGates * o_.H; }
  Index each() const { return GH() * (o_.C + 2 * o_.H + 1); }
  Index span() const;
  Index shares() const;
  GridForward<T> walk(const GridRun<T>& run, Index tile, int d, const T* h) const;
  void project(const GridRun<T>& run, int d, Index first, Index last, const T* x, T* to) const;
  void run_tile(const GridRun<T>& run, Index tile, int d, const T* x, T* h) const;
  GridBackward<T> turn(const GridRun<T>& run, Index tile, int d, const T* dh) const;
  void back_tile(const GridRun<T>& run, Index tile, int d, const T* dh, T* dgates, T* dc) const;
  void back_again(const GridRun<T>& run, Index tile, int d, Back back) const;
  void add_weights(const GridRun<T>& run, int d, Share share, Index first, Index last, const Back& back) const;
  void add_input(const GridRun<T>& run, int d, Index first, Index last, const T* dgates, T* dx, bool more,
                 int threads) const;

  const GridOptions o_;
  Packed packed_[4]{};
  const T* zero_ = nullptr;
};

}  // namespace tidegate
