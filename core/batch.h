// How a batch is laid out for the kernels: which sequences share a tile, and which rows of the input are projected.
#pragma once

#include <algorithm>
#include <numeric>

#include "layer.h"
#include "workspace.h"

namespace tidegate {

constexpr Index kLinearRows = 96;  // rows per task of a linear kernel

// Sequences, longest first, in tiles of neighbours.
struct Batch {
  const Index* start;
  const Index* length;
  const std::int32_t* order;
  Index tile_rows;  // sequences per task
  Index tiles;      // tasks per direction
};

template <class T>
Batch arrange(const LayerInput<T>& in) {
  Workspace& w = workspace();
  Index* const length = w.length.get<Index>(in.B);
  std::int32_t* const order = w.order.get<std::int32_t>(in.B);
  for (Index b = 0; b < in.B; ++b) length[b] = in.offsets[b + 1] - in.offsets[b];
  std::iota(order, order + in.B, 0);
  std::stable_sort(order, order + in.B, [&](std::int32_t a, std::int32_t b) { return length[a] > length[b]; });
  // Small enough that every thread gets some three tiles, large enough to use its registers.
  const Index wanted = blocks(in.B * in.directions, std::max(1, in.threads) * Index(3));
  const Index rows = std::clamp(blocks(wanted, 6) * 6, Index(6), kTileRows);
  return {in.offsets, length, order, rows, blocks(in.B, rows)};
}

// The rows that are projected: every token, or every distinct token once.
struct Rows {
  Index count;
  const std::int32_t* row_of_token;  // [N] or null
  const std::int32_t* id_of_row;     // [count] or null
};

template <class T, class Id>
Status distinct(const LayerInput<T>& in, const Id* ids, Rows& rows, Index& bad) {
  Workspace& w = workspace();
  std::int32_t* const row = w.row_of_token.get<std::int32_t>(in.N);
  std::int32_t* const row_of_id = w.row_of_id.get<std::int32_t>(in.V);
  std::int32_t* const id_of_row = w.id_of_row.get<std::int32_t>(std::min(in.N, in.V));
  std::fill(row_of_id, row_of_id + in.V, -1);
  std::int32_t count = 0;
  for (Index n = 0; n < in.N; ++n) {
    const Id id = ids[n];
    if (id < 0 || id >= in.V) {
      bad = n;
      return Status::kBadToken;
    }
    if (row_of_id[id] < 0) {
      row_of_id[id] = count;
      id_of_row[count++] = static_cast<std::int32_t>(id);
    }
    row[n] = row_of_id[id];
  }
  rows = {count, row, id_of_row};
  return Status::kOk;
}

template <class T>
Status find_rows(const LayerInput<T>& in, Rows& rows, Index& bad) {
  if (in.ids32) return distinct(in, in.ids32, rows, bad);
  if (in.ids64) return distinct(in, in.ids64, rows, bad);
  rows = {in.N, nullptr, nullptr};
  return Status::kOk;
}

}  // namespace tidegate
