// A network over live sequences: its weights packed once, and what each sequence leaves behind for its next step.
//
// A layer that also runs backward does so over the `lookahead` steps that follow: its output of a step is given when so
// many more are known, or the sequence ends. Each number is the chain of operations of a whole sequence that ends
// there.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "layer/layer.h"
#include "machine/workspace.h"

namespace tidegate {

enum Merge : int { kConcat, kSum, kMultiply, kAverage };

// Weights of one direction of a layer.
template <class T>
struct StreamDirection {
  bool reverse;
  Buffer memory, table_memory;
  const T *w_ih, *w_hh, *bias, *bias_apart;
  const T* table;  // [V, G*H] the product of every row of the table, or null
};

// One node on the way of the rows: a matrix, a layer, or a pool. `in` and `out` count the features of a row.
template <class T>
struct StreamStage {
  enum Kind { kMatrix, kLayer, kPool } kind;
  Index in, out;
  // matrix
  Buffer memory;
  const T *w, *bias;
  Activation activation;
  // layer
  Cell cell;
  Index H, lookahead;
  int directions;
  StreamDirection<T> direction[2];
  Merge merge;
  // pool
  int modes;
  PoolMode mode[kPoolModes];

  Index gates() const { return kTraits[cell].gates * H; }
  bool backward() const { return direction[directions - 1].reverse; }
  bool forward() const { return !direction[0].reverse; }
};

// The packed weights, from the first node to the last. Does not change once streams stand on it.
template <class T>
class StreamNetwork {
 public:
  // Rows of so many features come in, or, where V > 0, ids of the rows of table [V, width], which must live as long.
  StreamNetwork(Index width, const T* table, Index V);
  StreamNetwork(const StreamNetwork&) = delete;
  StreamNetwork& operator=(const StreamNetwork&) = delete;

  // Each adds a node, whose weights may die afterwards. Throw std::bad_alloc.
  void add_matrix(Index columns, const T* w, const T* bias, Activation activation);
  void add_layer(Cell cell, Index H, const Direction<T>* directions, int count, Merge merge, Index lookahead);
  void add_pool(const PoolMode* modes, int count);

  Index width() const { return width_; }
  Index V() const { return V_; }
  Index out() const { return stages_.empty() ? width_ : stages_.back().out; }
  Index lookahead() const { return lookahead_; }  // of all layers together
  bool pooled() const { return pooled_; }
  bool kept() const;  // the first layer reads products of the table
  const T* table() const { return table_; }
  const std::deque<StreamStage<T>>& stages() const { return stages_; }

 private:
  StreamStage<T>& add(typename StreamStage<T>::Kind kind, Index out);

  Index width_, V_, lookahead_ = 0;
  bool pooled_ = false;
  const T* table_;
  std::deque<StreamStage<T>> stages_;
};

// What sequences keep from step to step: rows [slots, width] of numbers, which make up their state.
template <class T>
struct StreamKept {
  T* data;
  Index width;
};

// What one node keeps, and the room that it needs while rows pass, which only grows.
template <class T>
struct StreamRoom {
  Buffer memory;
  std::vector<StreamKept<T>> kept;
  T *h = nullptr, *c = nullptr;  // [slots, H] state of the forward direction
  T* held_input = nullptr;       // [slots, lookahead, G*H] projected for the backward direction, of rows not yet given
  T* held_forward = nullptr;     // [slots, lookahead, H] outputs of the forward direction for these rows
  T* pool = nullptr;
  Index apart = 0;  // features of the rows before a pool, before directions were merged

  Buffer out, merged, projected[2], forward, windows, ends;
  std::vector<Index> offsets;                            // [n + 1] of the rows that are given
  std::vector<Index> segment;                            // [n + 1] of the rows that were held and those that came
  std::vector<std::int32_t> place;                       // where among these each row that came stands
  std::vector<Index> start, length;                      // [slots] of the forward run
  std::vector<std::int32_t> order;                       // [n]
  std::vector<Index> window_start, window_length, back;  // of the backward runs; the token of each row that is given
  std::vector<std::int32_t> window_order, window_row;
};

// Rows on their way: those of sequence i are offsets[i] .. offsets[i + 1] - 1.
template <class T>
struct StreamRows {
  const T* x;
  const std::int32_t* ids;  // of table rows, where the first layer reads products; else null
  const T* apart;           // the rows before their directions were merged
  const Index* offsets;     // [n + 1]
};

// So many sequences ("slots") of one network. One caller at a time.
template <class T>
class Streams {
 public:
  // Throws std::bad_alloc. The network must live longer.
  Streams(const StreamNetwork<T>& network, Index capacity);

  // Takes sequence slot[i] on by rows offsets[i] .. offsets[i + 1] - 1 of x [*, width], or of ids [*]; the slots
  // differ. Writes the rows of output end to end; of a pooled network one row for each sequence, which says what the
  // network would say if it ended here. With `ending` the rows that wait for steps to come are given, too, and the
  // slots are to be cleared. Throws std::bad_alloc.
  void run(const Index* slot, const Index* offsets, Index n, const T* x, const std::int32_t* ids, bool ending, T* out,
           int threads);

  // Whether these are slots, each named once.
  bool distinct(const Index* slot, Index n);

  // How many rows of output `run` gives for so many more steps.
  Index rows_after(Index slot, Index steps, bool ending) const;

  void clear(Index slot);
  void copy(Index from, Index to);
  Index numbers() const { return numbers_; }  // of one state
  void read(Index slot, T* to) const;         // [numbers]
  void write(Index slot, const T* from, Index steps);

  Index capacity() const { return capacity_; }
  Index steps(Index slot) const { return steps_[slot]; }
  const StreamNetwork<T>& network() const { return network_; }

  // Whoever steps holds it; false: another thread does.
  bool enter() { return !busy_.exchange(true, std::memory_order_acquire); }
  void leave() { busy_.store(false, std::memory_order_release); }

 private:
  struct Turn;

  StreamRows<T> first(const Turn& turn, const Index* offsets, Index begin, bool all, const T* x,
                      const std::int32_t* ids);
  StreamRows<T> walk(const Turn& turn, StreamRows<T> rows);
  StreamRows<T> layer(const Turn& turn, std::size_t index, const StreamRows<T>& in);
  Index held(const StreamStage<T>& stage, Index received) const;
  void go_on(const Turn& turn, std::size_t index, const StreamRows<T>& in);
  void come_back(const Turn& turn, std::size_t index, const StreamRows<T>& in);
  StreamRows<T> give(const Turn& turn, std::size_t index);
  void matrix(const StreamStage<T>& stage, const T* x, Index rows, T* y, int threads);
  void accumulate(const Turn& turn, std::size_t index, const StreamRows<T>& in);
  void say(const Turn& turn, T* out);
  const T* pooled(const Index* slot, Index n, std::size_t index);

  const StreamNetwork<T>& network_;
  const Index capacity_;
  Index numbers_ = 0;
  std::vector<Index> steps_;
  std::deque<StreamRoom<T>> rooms_;
  Buffer input_, pooled_;
  std::vector<Index> block_, spare_, received_, written_;
  std::vector<std::int32_t> ids_;
  std::vector<std::uint8_t> seen_;
  std::atomic<bool> busy_{false};
};

}  // namespace tidegate
