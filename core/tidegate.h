// The contract between the kernels and everything above them: shape letters, one argument struct per kernel,
// one table of kernels per ISA and number type. Knows arrays only; no Python, no threads, no allocation.
//
// Shape letters, used everywhere:
//   N tokens of all sequences, end to end     B sequences          C inputs of one step
//   H hidden units                            G gates of the cell  K length of a sum, or tags
//
// Order of arithmetic: every number is one chain of fused multiply-adds with K ascending, so that results are equal
// to the bit over ISAs, threads and batch neighbours. See docs/architecture.md.
#pragma once

#include <cstdint>

#include "cells/cells.h"
#include "grid/cells.h"

namespace tidegate {

using Index = std::int64_t;

// Zero, as a struct has it that names none, is the identity.
enum Activation : int { kIdentity, kRelu, kTanh, kSigmoid, kActivations };

// Packed weights are cut into panels of kPanelBytes of columns, so that one layout serves every ISA. Groups of 4, 2 or
// 1 panels stand side by side, `[group][K][panels][lanes]`; a panel that is not full is zero-filled and stands alone.
constexpr int kPanelBytes = 64;
template <class T>
constexpr Index kPanel = kPanelBytes / sizeof(T);
// Panels in the group that begins at column `column`.
template <class T>
constexpr Index group_width(Index column, Index columns) {
  const Index full = (columns - column) / kPanel<T>;
  return full >= 4 ? 4 : full >= 2 ? 2 : 1;
}

// The most sequences that one call of a cell kernel takes.
constexpr Index kTileRows = 48;
// The most that a task of live streams takes: all threads are to have some.
constexpr Index kStreamRows = 24;

// Sequences of one batch. Row r of a tile is sequence order[r]; its `length` tokens begin at `start` and lie `stride`
// apart. They are visited from the last one when `reverse` is set.
struct Sequences {
  const Index* start;         // [B]
  const Index* length;        // [B]
  const std::int32_t* order;  // [B] longest first
  bool reverse;
  Index stride = 1;
};

// The hidden units that one call of a cell kernel computes: all, or a share that begins and ends between groups of
// panels. Those who compute the other shares run at the same time, and `meet` returns when all of them have called it.
// It returns true, to all of them alike, and so does `halted`, when the result is not wanted any more.
struct Units {
  Index first, last;
  bool (*halted)();
  bool (*meet)(void* meeting);  // null: nobody else
  void* meeting;
};

// Fused multiply-adds, or what takes as long, between two looks at whether the result is still wanted: some 50 us.
constexpr Index kLook = Index(1) << 20;

// A cell run forward over some sequences. `G * H` columns are gate-major: all units of gate 0, then of gate 1, ...
template <class T>
struct CellForward {
  Sequences sequences;
  Index H;
  const T* input;  // [*, input_stride] projected input with its bias
  Index input_stride;
  const std::int32_t* input_row;  // [N] row of `input` for each token; null: row n for token n
  const T* w_hh;                  // packed by unit, all gates of a panel of units together
  const T* bias_apart;            // [H] recurrent bias of the gate that keeps it apart; null: zero
  const T* h0;                    // [B, H] or null: zero
  const T* c0;                    // [B, H] or null: zero
  const T* mask;                  // [B, H] or null: scales h where it enters w_hh
  T* h;                           // [N, h_stride] output of every step
  Index h_stride;
  T* gates;  // [N, G*H] or null; may be `input` itself
  T* memo;   // [N, H] or null; the cell state, or the recurrent part of the gate that keeps it apart
  T* hn;     // [B, H] state after the last step visited
  T* cn;     // [B, H] of a cell that carries c
};

// The same run backward. `gates`, `memo` and `h` are what the forward run left.
template <class T>
struct CellBackward {
  Sequences sequences;
  Index H;
  const T* w_hh;   // packed by column of the plain matrix [G*H, H]
  const T* h0;     // [B, H] or null
  const T* c0;     // [B, H] or null
  const T* mask;   // [B, H] or null
  const T* h;      // [N, h_stride]
  const T* gates;  // [N, G*H]; may be `dgates` itself
  const T* memo;   // [N, H]; may be `dmemo` itself
  const T* dh;     // [N, h_stride] gradient of every output
  Index h_stride;
  const T* dhn;  // [B, H] or null
  const T* dcn;  // [B, H] or null
  T* dgates;     // [N, G*H] gradient of the projected input
  T* dmemo;      // [N, H] gradient of the recurrent part that a gate keeps apart
  T* dh0;        // [B, H]
  T* dc0;        // [B, H] of a cell that carries c
  T* dh_steps;   // [N, H] or null: gradient of the state that leaves each step, through all that follows
  T* dc_steps;   // [N, H] the same of the cell state, where dh_steps is not null
};

// Cells of images in the order in which they are visited: wave by wave, all that lie on a diagonal of any image side by
// side. A neighbour is the number of its visit, -1 beyond the border; it is always in the wave before, or after.
struct Wave {
  const Index* begin;                 // [waves + 1] the first visit of each
  const std::int32_t *left, *up;      // [N] whom a cell follows
  const std::int32_t *right, *below;  // [N] who follow it
  const std::int32_t* token;          // [N] its row in h
};

// Cells of grids run forward over some waves. Rows of `input` and `gates` are by visit, from `origin` on.
template <class T>
struct GridForward {
  Wave wave;
  Index H;
  Index origin;
  const T* input;          // [*, 5*H] projected input with its bias
  const T *w_left, *w_up;  // packed by unit, all gates of a panel of units together
  const T* h;              // [*, h_stride] by token, where the outputs of neighbours are found
  const T* c;              // [N, H] by visit, their cell states
  Index h_stride;
  T *out, *out_c;    // h and c, to be written; null: they are known already
  T* gates;          // [*, 5*H] or null; may be `input` itself
  bool (*halted)();  // whether the result is not wanted any more
};

// The same waves backward. Rows of `gates`, `dgates` and `dc` are by visit, from `origin` on; those of the wave behind
// the last one are read, and `dc` has what goes to the left neighbour before what goes to the upper one.
template <class T>
struct GridBackward {
  Wave wave;
  Index H;
  Index origin;
  const T* w;      // packed by column of [10*H, H], the matrix of the left neighbour above that of the upper one
  const T* gates;  // [*, 5*H]; may be `dgates` itself
  const T* c;      // [N, H] by visit
  const T* dh;     // [*, h_stride] by token, gradient of every output
  Index h_stride;
  T* dgates;  // [*, 5*H] gradient of the projected input
  T* dc;      // [*, 2*H]
  bool (*halted)();
};

// y[row_out(i)] = activation(chain(start, x[row_in(i)] @ w)); start is y itself, the bias, or zero.
template <class T>
struct Linear {
  const T* x;  // [*, x_stride]
  Index x_stride;
  const std::int32_t* row_in;  // [rows] or null: row i
  const T* w;                  // packed [K, columns]
  Index K, columns;
  const T* bias;  // [columns] or null
  T* y;           // [*, y_stride]
  Index y_stride;
  const std::int32_t* row_out;  // [rows] or null: row i
  bool accumulate;
  Activation activation;
};

// out[m, k] += sum over n of a[n, m] * b(n)[k]; column_sum[m] += sum over n of a[n, m]. Blocks of kOuterBlock tokens
// are summed with n ascending, then added in their order.
template <class T>
struct Outer {
  const T* a;  // [*, a_stride]
  Index a_stride;
  Index rows_m;  // columns of a, rows of out
  const T* b;    // [*, b_stride]
  Index b_stride;
  const T* const* b_row;          // [N] where row n of b begins; null: b + n * b_stride
  const T* scale;                 // [*, columns] or null: b(n) is multiplied by scale[scale_row[n]]
  const std::int32_t* scale_row;  // [N]
  Index columns;
  T* out;         // [rows_m, columns]
  T* column_sum;  // [rows_m] or null
};

// out[u] = sum of a[n] over the tokens n of row u, which are token[start[u]] .. token[start[u + 1] - 1], ascending.
template <class T>
struct SumByRow {
  const T* a;  // [N, width]
  Index width;
  const std::int32_t* start;  // [rows + 1]
  const std::int32_t* token;  // [N]
  T* out;                     // [rows, width]
};

// out[row[n]] += a[n] for tokens first .. last - 1, ascending.
template <class T>
struct AddRows {
  const T* a;  // [N, width]
  Index width;
  const std::int32_t* row;  // [N]
  T* out;                   // [*, width]
};

enum UpdateRule : int { kSgd, kRmsprop, kAdam };

// How parameters move against their gradient, which is multiplied by `scale` first.
template <class T>
struct Update {
  UpdateRule rule;
  T* parameter;
  const T* gradient;
  T* first;   // momentum, or the mean of gradients; null: none
  T* second;  // the mean of squares
  T scale, rate, decay;
  T beta1, beta2, epsilon;
  T correction1, correction2;  // of the two means, which begin at zero: 1 - beta1^t, the root of 1 - beta2^t
  bool nesterov, decoupled;
};

enum PoolMode : int { kLast, kFirst, kMax, kMean, kPoolModes };

// One way of pooling over the tokens of each sequence; a sequence of length zero gives zeros.
template <class T>
struct Pool {
  const T* h;            // [N, H]
  const Index* offsets;  // [B + 1]
  Index H;
  PoolMode mode;
  T* pooled;  // [B, stride] (backward: the gradient of it, read)
  Index stride;
  T* dh;  // [N, H] backward: added to
};

// A linear-chain conditional random field over K tags, all in float64: what stands below 1 is exp of a score less the
// largest of its kind, so that products replace sums.
struct Crf {
  Index K;
  const double* emissions;   // [N, K] scores of the tags at each token, as they are
  const Index* offsets;      // [B + 1]
  const double* moves;       // [K, K] from a tag to the next
  const double* moves_back;  // [K, K] the same, the next tag first
  const double* start;       // [K] of the first tag
  const double* end;         // [K] of the last one
  bool (*halted)();          // whether the result is not wanted any more
};

// The sum over all paths, as factors: the sum of a sequence is last * product over its tokens of exp(peak) * sum.
struct CrfForward {
  Crf crf;
  double* alpha;  // [N, K] share of each tag in the sum up to a token
  double* peak;   // [N]
  double* sum;    // [N]
  double* last;   // [B]; left alone for a sequence of length zero
};

// How often each tag and each move is expected, times the weight of the sequence.
struct CrfBackward {
  Crf crf;
  const double* alpha;   // [N, K] of the forward run
  const double* weight;  // [B]
  double* marginals;     // [N, K]
  double* moved;         // [K, K] added to; still to be multiplied by `moves`
  double* started;       // [K] added to
  double* ended;         // [K] added to
};

// The paths with the largest scores. Scores are as they are here, no exp.
struct CrfBest {
  Index N, K, paths;
  const double* emissions;    // [N, K]
  const Index* offsets;       // [B + 1]
  const double* transitions;  // [K, K]
  const double* start;        // [K]
  const double* end;          // [K]
  std::int32_t* tags;         // [paths, N]
  double* scores;             // [B, paths] descending; -inf where there are fewer, whose tags are left alone
  bool (*halted)();           // as above
};

struct CrfKernels {
  void (*exp)(const double* x, Index count, double largest, double* y);
  void (*forward)(const CrfForward&, Index first, Index last, double* scratch);    // scratch [K]
  void (*backward)(const CrfBackward&, Index first, Index last, double* scratch);  // scratch [3 * K]
  // scratch [2 * K * paths] and [T * K * paths], T the longest length but at least 1
  void (*best)(const CrfBest&, Index first, Index last, double* scores, std::int32_t* origins);
};

// Connectionist temporal classification (Graves et al. 2006) over K symbols, of which 0 is the blank, all in float64. A
// path names a symbol at each frame; it reads as the label that is left when repeated symbols are taken once and blanks
// are dropped. It passes 2 * L + 1 states of a label of L symbols: a blank, the first symbol, a blank, and so on.
struct Ctc {
  Index K;
  const double* frames;        // [N, K] logarithms of the probability of each symbol
  const Index* offsets;        // [B + 1] of the frames
  const std::int32_t* labels;  // of all sequences end to end, 1 .. K - 1
  const Index* begins;         // [B + 1] of the labels
  bool (*halted)();            // whether the result is not wanted any more
};

// The sum over all paths that read as the label.
struct CtcSums {
  Ctc ctc;
  double* total;   // [B] its logarithm; kNever or less where no path does
  double* shares;  // [N, K] how much of it names each symbol at a frame; null: not wanted
};

// The path with the largest product that reads as the label.
struct CtcBest {
  Ctc ctc;
  std::int32_t* states;  // [N] that it passes
  double* scores;        // [B] its logarithm
};

constexpr double kNever = -1e30;  // the logarithm of zero, with which one can go on

struct CtcKernels {
  // Logarithms of the softmax of rows first .. last - 1 of x [*, K]; y may be x.
  void (*frames)(const double* x, Index K, double* y, Index first, Index last);
  void (*sums)(const CtcSums&, Index first, Index last, double* scratch);  // ctc_scratch of the largest sequence
  void (*best)(const CtcBest&, Index first, Index last, double* scratch);  // the same
};

// Numbers of scratch for a sequence of T frames and a label of L symbols.
constexpr Index kCtcRoom = 2;  // on both sides of the states of a frame
constexpr Index ctc_scratch(Index T, Index L) { return (T + 6) * (2 * L + 1 + 2 * kCtcRoom); }

template <class T>
struct CellKernels {
  void (*forward)(const CellForward<T>&, Index first, Index last, const Units&, T* scratch);
  void (*backward)(const CellBackward<T>&, Index first, Index last, const Units&, T* scratch);
};

template <class T>
struct GridKernels {
  void (*forward)(const GridForward<T>&, Index first, Index last, T* scratch);    // scratch [H]
  void (*backward)(const GridBackward<T>&, Index first, Index last, T* scratch);  // grid_scratch
};

template <class T>
struct Kernels {
  CellKernels<T> cell[kCells];
  GridKernels<T> grid[kGridCells];
  void (*linear)(const Linear<T>&, Index first, Index last);
  void (*outer)(const Outer<T>&, Index first, Index last, T* scratch);
  void (*sum_by_row)(const SumByRow<T>&, Index first, Index last);
  void (*add_rows)(const AddRows<T>&, Index first, Index last);
  void (*pool)(const Pool<T>&, Index first, Index last);
  void (*pool_backward)(const Pool<T>&, Index first, Index last);
  void (*softmax)(const T* x, Index columns, T* y, Index first, Index last);
  void (*activate)(Activation, const T* x, T* y, Index first, Index last);
  void (*log)(const T* x, T* y, Index first, Index last);
  void (*update)(const Update<T>&, Index first, Index last);
  double (*sum_of_squares)(const T* x, Index first, Index last);
  // to[k * to_stride + lane] = from[lane * stride + k] for the columns of one panel, zero for the rest of it.
  void (*pack_panel)(const T* from, Index stride, Index columns, Index K, T* to, Index to_stride);
};

// Numbers of scratch that one call of a cell kernel, or of `outer`, needs.
template <class T>
constexpr Index padded(Index columns) {
  return (columns + kPanel<T> - 1) / kPanel<T> * kPanel<T>;
}
template <class T>
constexpr Index cell_scratch(Index H) {
  return (2 * kTileRows + 1) * padded<T>(H);
}
template <class T>
constexpr Index grid_scratch(Index H) {
  return kGridGates * H + kTileRows * padded<T>(H);
}
constexpr Index kOuterBlock = 64;  // tokens that `outer` sums before it adds them
template <class T>
constexpr Index outer_scratch(Index columns) {
  return kOuterBlock * padded<T>(columns);
}

struct Isa {
  const char* name;
  bool (*supported)();
  const Kernels<float>* f32;
  const Kernels<double>* f64;
  const CrfKernels* crf;
  const CtcKernels* ctc;
};

}  // namespace tidegate
