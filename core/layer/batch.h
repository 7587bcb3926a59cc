// How a batch is laid out for the kernels: which sequences share a tile, and which rows of the input are projected.
#pragma once

#include <algorithm>
#include <numeric>

#include "layer/layer.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {

constexpr Index kLinearRows = 96;  // rows per task of a linear kernel

// Sequences, longest first, in tiles of neighbours.
struct Batch {
  const Index* start;
  const Index* length;
  const std::int32_t* order;
  Index tile_rows;  // sequences per task
  Index tiles;      // tasks per direction
  bool even;        // all of one length
};

// Where share `member` of the hidden units begins: between two groups of panels.
template <class T>
Index share_begin(Index H, Index member, Index members) {
  Index groups = 0;
  for (Index unit = 0; unit < H; ++groups) unit += group_width<T>(unit, H) * kPanel<T>;
  Index begin = 0;
  for (Index group = 0; group < groups * member / members; ++group) begin += group_width<T>(begin, H) * kPanel<T>;
  return std::min(begin, H);
}

// The units of `member`, and where it meets the others.
template <class T>
Units share(Index H, Index member, Index members, Meeting& meeting) {
  return {share_begin<T>(H, member, members), share_begin<T>(H, member + 1, members), halted,
          member == 0 ? [](void* m) { return static_cast<Meeting*>(m)->lead(); }
                      : [](void* m) { return static_cast<Meeting*>(m)->wait(); },
          &meeting};
}

// How many threads share the hidden units of a tile; 1: none do. It takes more `weights` than a core can keep, and
// fewer tiles of rows than there are threads to take them: whoever shares waits for the slowest after each step.
template <class T>
int sharers(Index H, Index weights, Index tiles, int threads) {
  constexpr Index kCached = (Index(1) << 20) / Index(sizeof(T));
  if (weights <= kCached || tiles >= threads) return 1;
  return static_cast<int>(std::clamp<Index>(H / (4 * kPanel<T>), 1, threads));
}

// Directions of a layer that are walked through time at once.
struct Walk {
  Cell cell;
  Index B, H;
  int directions, threads;
  Index tile_rows;  // sequences per task
};

template <class T>
int sharers(const Walk& w) {
  return sharers<T>(w.H, kTraits[w.cell].gates * w.H * w.H, w.directions * blocks(w.B, 6), w.threads);
}

// Sequences per task: few enough that every thread gets some three tiles, or one where all take as long; many enough to
// use its registers.
inline Index rows_of_tiles(Index B, int directions, int threads, bool even) {
  if (threads <= 1) return kTileRows;
  const Index share = blocks(B * directions, threads * Index(even ? 1 : 3));
  return std::clamp(even ? share : blocks(share, 6) * 6, Index(1), kTileRows);
}

template <class T>
Batch arrange(const LayerInput<T>& in) {
  Workspace& w = workspace();
  Index* const length = w.length.get<Index>(in.B);
  std::int32_t* const order = w.order.get<std::int32_t>(in.B);
  for (Index b = 0; b < in.B; ++b) length[b] = in.offsets[b + 1] - in.offsets[b];
  std::iota(order, order + in.B, 0);
  const Index* start = in.offsets;
  if (in.by_step) {
    Index* const first = w.start.get<Index>(in.B);
    std::iota(first, first + in.B, Index(0));
    start = first;
  }
  std::stable_sort(order, order + in.B, [&](std::int32_t a, std::int32_t b) { return length[a] > length[b]; });
  const bool even = in.B > 0 && length[order[0]] == length[order[in.B - 1]];
  const Index rows = rows_of_tiles(in.B, in.directions, in.threads, even);
  return {start, length, order, rows, blocks(in.B, rows), even};
}

// Calls run(d, first, last, units, scratch) until every direction of every tile has been walked through time. Where the
// recurrent weights do not fit the cache of one core, a tile is shared: each thread keeps the weights of some hidden
// units, and all meet after each step. Otherwise a thread has a tile to itself.
// `more` is the scratch that `run` needs beside that of a cell.
template <class T, class F>
void walk(const Walk& in, Index more, const F& run) {
  const Index size = cell_scratch<T>(in.H) + more;
  const auto tile = [&](Index task, Index tile_rows, const Units& units, T* memory) {
    const Index first = task / in.directions * tile_rows;
    run(task % in.directions, first, std::min(in.B, first + tile_rows), units, memory);
  };
  const int members = sharers<T>(in);
  if (members > 1) {
    T* const memory = workspace().team.template get<T>(members * size);
    const bool done = team(members, [&](Index member, Meeting& meeting) {
      const Units units = share<T>(in.H, member, members, meeting);
      const Index tasks = in.directions * blocks(in.B, kTileRows);
      for (Index task = 0; task < tasks && !meeting.over(); ++task) {
        tile(task, kTileRows, units, memory + member * size);
      }
    });
    if (done) return;
  }
  parallel(in.directions * blocks(in.B, in.tile_rows), in.threads,
           [&](Index task) { tile(task, in.tile_rows, Units{0, in.H, halted, nullptr, nullptr}, scratch<T>(size)); });
}

template <class T>
Walk walk_of(const LayerInput<T>& in, const Batch& batch) {
  return {in.cell, in.B, in.H, in.directions, in.threads, batch.tile_rows};
}

// The rows that are projected: every token, or every distinct token once.
struct Rows {
  Index count;
  const std::int32_t* row_of_token;  // [N] or null
  const std::int32_t* id_of_row;     // [count] or null
};

template <class T>
Status find_rows(const LayerInput<T>& in, Rows& rows, Index& bad) {
  if (!in.ids) {
    rows = {in.N, nullptr, nullptr};
    return Status::kOk;
  }
  Workspace& w = workspace();
  std::int32_t* const row = w.row_of_token.get<std::int32_t>(in.N);
  std::int32_t* const row_of_id = w.row_of_id.get<std::int32_t>(in.V);
  std::int32_t* const id_of_row = w.id_of_row.get<std::int32_t>(std::min(in.N, in.V));
  std::fill(row_of_id, row_of_id + in.V, -1);
  std::int32_t count = 0;
  for (Index n = 0; n < in.N; ++n) {
    const std::int32_t id = in.ids[n];
    if (id < 0 || id >= in.V) {
      bad = n;
      return Status::kBadToken;
    }
    if (row_of_id[id] < 0) {
      row_of_id[id] = count;
      id_of_row[count++] = id;
    }
    row[n] = row_of_id[id];
  }
  rows = {count, row, id_of_row};
  return Status::kOk;
}

}  // namespace tidegate
