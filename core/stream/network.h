// A network that live sequences go through: its weights, packed once.
//
// A layer that also runs backward does so over the `lookahead` steps that follow: its output of a step is given when so
// many more are known, or the sequence ends. Each number is the chain of operations of a whole sequence that ends
// there.
#pragma once

#include <deque>
#include <variant>

#include "layer/layer.h"
#include "layer/merge.h"
#include "machine/workspace.h"

namespace tidegate {

// Weights of one direction of a layer.
template <class T>
struct StreamDirection {
  bool reverse;
  Buffer memory, table_memory;
  const T *w_ih, *w_hh, *bias, *bias_apart;
  const T* table;  // [V, G*H] the product of every row of the table, or null
};

// A node on the way of the rows. `in` and `out` count the features of a row.
template <class T>
struct StreamMatrix {
  Index in, out;
  Buffer memory;
  const T *w, *bias;
  Activation activation;
};

template <class T>
struct StreamLayer {
  Index in, out;
  Cell cell;
  Index H, lookahead;
  int directions;
  StreamDirection<T> direction[2];
  Merge merge;

  Index gates() const { return kTraits[cell].gates * H; }
  bool backward() const { return direction[directions - 1].reverse; }
  bool forward() const { return !direction[0].reverse; }
};

template <class T>
struct StreamPool {
  Index in, out;
  int modes;
  PoolMode mode[kPoolModes];
  const StreamLayer<T>* layer;  // right before it, or null

  // Features of the rows before their directions were merged: `last` is taken of these.
  Index apart() const { return layer ? layer->directions * layer->H : in; }
};

template <class T>
using StreamStage = std::variant<StreamMatrix<T>, StreamLayer<T>, StreamPool<T>>;

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
  Index out() const { return out_; }
  Index lookahead() const { return lookahead_; }  // of all layers together
  bool pooled() const { return pooled_; }
  bool kept() const;  // the first layer reads products of the table
  const T* table() const { return table_; }
  const std::deque<StreamStage<T>>& stages() const { return stages_; }

 private:
  template <class Stage>
  Stage& add(Index out);

  Index width_, V_, out_, lookahead_ = 0;
  bool pooled_ = false;
  const T* table_;
  std::deque<StreamStage<T>> stages_;
};

}  // namespace tidegate
