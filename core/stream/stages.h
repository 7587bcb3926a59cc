// The nodes of a network while rows of live sequences pass: what each keeps of a sequence from step to step, and the
// room that it needs meanwhile, which only grows.
#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "stream/network.h"

namespace tidegate {

// The sequences that one call takes on, and whether they end with it.
struct StreamTurn {
  const Index* slot;
  Index n;
  bool ending;
  int threads;
};

// Rows on their way: those of sequence i are offsets[i] .. offsets[i + 1] - 1.
template <class T>
struct StreamRows {
  const T* x;
  const std::int32_t* ids;  // of table rows, where the first layer reads products; else null
  const T* apart;           // the rows before their directions were merged
  const Index* offsets;     // [n + 1]
};

// Numbers of each slot, which make up the state of the sequence there.
template <class T>
class StreamState {
 public:
  // Makes room for `slots` rows of so many zeros at each of the places. Throws std::bad_alloc.
  StreamState(Index slots, std::initializer_list<std::pair<T**, Index>> places);

  Index numbers() const;  // of one slot
  void clear(Index slot);
  void copy(Index from, Index to);
  T* read(Index slot, T* to) const;           // returns the end of what it wrote
  const T* write(Index slot, const T* from);  // returns the end of what it read

 private:
  struct Part {
    T* data;  // [slots, width]
    Index width;
  };
  Buffer memory_;
  std::vector<Part> parts_;
};

template <class T>
class MatrixStream {
 public:
  explicit MatrixStream(const StreamMatrix<T>& matrix) : matrix_(matrix) {}

  StreamRows<T> pass(const StreamTurn& turn, const StreamRows<T>& in);
  const T* multiply(const T* x, Index rows, int threads);  // valid until the next call

 private:
  const StreamMatrix<T>& matrix_;
  Buffer out_;
};

template <class T>
class LayerStream {
 public:
  LayerStream(const StreamLayer<T>& layer, Index slots);

  // `received` [n]: steps that each sequence brought here before.
  StreamRows<T> pass(const StreamTurn& turn, const std::vector<Index>& received, const StreamRows<T>& in);
  Index lookahead() const { return layer_.lookahead; }

  StreamState<T>& state() { return state_; }

 private:
  Index held(Index received) const;
  void go_on(const StreamTurn& turn, const StreamRows<T>& in);
  void come_back(const StreamTurn& turn, const std::vector<Index>& received, const StreamRows<T>& in);
  void cut_windows(Index begin, Index total, Index given);
  StreamRows<T> give(const StreamTurn& turn, const std::vector<Index>& received);

  const StreamLayer<T>& layer_;
  T *h_ = nullptr, *c_ = nullptr;  // [slots, H] state of the forward direction
  T* held_input_ = nullptr;    // [slots, lookahead, G*H] projected for the backward direction, of rows not yet given
  T* held_forward_ = nullptr;  // [slots, lookahead, H] outputs of the forward direction for these rows
  StreamState<T> state_;

  Buffer out_, merged_, projected_[2], forward_, windows_, ends_;
  std::vector<Index> offsets_;                              // [n + 1] of the rows that are given
  std::vector<Index> segment_;                              // [n + 1] of the rows that were held and those that came
  std::vector<std::int32_t> place_;                         // where among these each row that came stands
  std::vector<Index> start_, length_;                       // [slots] of the forward run
  std::vector<std::int32_t> order_;                         // [n]
  std::vector<Index> window_start_, window_length_, back_;  // of the backward runs; the token of each row that is given
  std::vector<std::int32_t> window_order_, window_row_;
};

template <class T>
class PoolStream {
 public:
  PoolStream(const StreamPool<T>& pool, Index slots);

  // Adds rows to what is kept, in their order, as `pool` of pool.h does with a whole sequence.
  void pass(const StreamTurn& turn, const std::vector<Index>& received, const StreamRows<T>& in);
  // The pooled rows [n, out] of slots that took so many steps; valid until the next call.
  const T* say(const Index* slot, Index n, const std::vector<Index>& steps);

  StreamState<T>& state() { return state_; }

 private:
  Index at(int mode) const;
  void add(T* kept, const StreamRows<T>& in, Index row, bool begins);

  const StreamPool<T>& pool_;
  T* kept_ = nullptr;  // [slots, at(modes)]
  StreamState<T> state_;
  Buffer out_;
};

}  // namespace tidegate
