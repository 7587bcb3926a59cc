// In which order the cells of images are visited, and who stands beside whom. Knows sizes alone.
#pragma once

#include "grid/image.h"
#include "program/arena.h"

namespace tidegate {

// Images whose cells lie end to end.
struct Images {
  Index B;
  const Index* offsets;  // [B + 1] the first cell of each
  const Image* sizes;    // [B]
};

// Which corner a direction comes from: the axes that it runs against. The first comes from the top left; number d runs
// against x where d is odd, and against y from 2 on.
struct Flips {
  bool x, y;
};
constexpr Flips flips(int d) { return {(d & 1) != 0, (d & 2) != 0}; }

// Some images that are walked together. Visits begin[0] .. begin[waves] - 1 are theirs.
struct GridTile {
  Index waves;
  const Index* begin;  // [waves + 1]
  Index widest;        // visits of a wave, at most
};

struct GridPlan {
  Index N, tiles;
  GridTile* tile;
  const std::int32_t *left, *up, *right, *below;  // [N] as `Wave` has them
  const std::int32_t* token[4];                   // [N] by direction

  Wave wave(Index which, int direction) const { return {tile[which].begin, left, up, right, below, token[direction]}; }
};

// Tiles are cut by the sizes of the images alone, so that no sum depends on who walks them.
GridPlan plan_grid(const Images& images, int directions, Arena& arena);

}  // namespace tidegate
