// One direction of one layer of a recurrent node: where its parameters stand, and its weights as the kernels read them.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
struct Unit {
  Cell cell;
  Index inputs, H;
  bool reverse, biased;
  Index w_ih, w_hh, b_ih, b_hh;  // from the first parameter of the node on
  T *forward_ih, *forward_hh, *backward_ih, *backward_hh, *bias;
  const T* bias_apart;
  const T* mask;  // [G*H, H] of what is dropped from w_hh, or null
  T* projected;   // [rows, G*H] of the table, or null
  T* of_table;    // [vocabulary, G*H] of all of it, for streams, or null

  Index columns() const { return kTraits[cell].gates * H; }
  // Lets its parameters begin at `at`; returns where they end.
  Index settle(Index at);
  // `back`: whether there will be a way back.
  void pack(const T* parameters, const T* dropped, bool back, Arena& arena);
  // Projects rows [count, inputs] of a table once for all of a batch.
  void project(const T* rows, Index count, int threads, Arena& arena);
};

}  // namespace tidegate
