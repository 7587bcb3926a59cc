// What a recurrent node knows of a group while it is run forward and back.
#pragma once

#include "layer/batch.h"
#include "nodes/recurrent.h"

namespace tidegate {

// What one layer leaves behind for the way back.
template <class T>
struct Recurrent<T>::LayerRun {
  const T* x;               // [N, inputs] what it read, or null: rows of the table
  T* h;                     // [N, directions * H]
  T* dh;                    // [N, directions * H] on the way back
  T* gates[2];              // [N, G*H], of a cell without gates, too
  T* memo[2];               // [N, H] or null
  T *dgates[2], *dmemo[2];  // their gradients on the way back, which may take their place
  T* mask[2];               // [B, H] of recurrent_dropout, or null
  T* h0[2];                 // [pieces, B, H] states before each piece of time, of a run that is cut
  T* c0[2];                 // [pieces, B, H] of a cell that carries c
};

template <class T>
struct Recurrent<T>::Run {
  Index B, N;
  const Index* start;  // [B] rows of the sequences
  Index* length;
  std::int32_t* order;
  Index steps;  // of a piece of time, where gates are not kept but computed again piece by piece; else 0
  bool own;     // rather than of cells that go on from here
  bool watched;
  Ends<T>* starts;  // what the sequences began in; null: zeros
  LayerRun* layers;
};

// Calls prepare(d), then walk(d, first, last, units, scratch) for all tiles, of a direction at a time while they are in
// the cache of one core, or of both at once where threads share the group.
template <class T>
template <class Prepare, class Tile>
void Recurrent<T>::each_direction(Index B, const Ways& ways, const Prepare& prepare, const Tile& tile) const {
  const int threads = this->common->inside, together = threads > 1 ? ways.last - ways.first : 1;
  const Walk shape{o_.cell, B, o_.hidden_size, together, threads, rows_of_tiles(B, together, threads, false)};
  for (int begin = ways.first; begin < ways.last; begin += together) {
    for (int d = begin; d < begin + together; ++d) prepare(d);
    walk<T>(shape, 0, [&](Index d, Index first, Index last, const Units& units, T* memory) {
      tile(begin + static_cast<int>(d), first, last, units, memory);
    });
  }
}

}  // namespace tidegate
