#include "grid/plan.h"

#include <algorithm>

namespace tidegate {
namespace {

Index waves_of(const Images& in, Index b) {
  const Image image = in.sizes[b];
  return image.height > 0 && image.width > 0 ? image.height + image.width - 1 : 0;
}

// The rows of the cells of an image on a diagonal.
struct Span {
  Index first, last;
  Span(const Image& image, Index diagonal)
      : first(std::max<Index>(0, diagonal - image.width + 1)), last(std::min(image.height - 1, diagonal)) {}
};

// Writes the visits of a grid one after the other.
struct Writer {
  const Images& in;
  const int directions;
  std::int32_t *left, *up, *right, *below, *token[4];
  Index* before;  // [B] where the last diagonal of each image began
  Index visit = 0;

  void diagonal(Index b, Index d) {
    const Image image = in.sizes[b];
    const Index begin = visit, h = image.height, w = image.width;
    const Span now(image, d);
    const Index y_before = d > 0 ? Span(image, d - 1).first : 0;
    for (Index y = now.first; y <= now.last; ++y, ++visit) {
      const Index x = d - y, beside = before[b] + y - y_before;
      left[visit] = follow(x > 0, beside, right);
      up[visit] = follow(y > 0, beside - 1, below);
      right[visit] = below[visit] = -1;
      for (int way = 0; way < directions; ++way) {
        const Flips f = flips(way);
        const Index row = f.y ? h - 1 - y : y, column = f.x ? w - 1 - x : x;
        token[way][visit] = static_cast<std::int32_t>(in.offsets[b] + row * w + column);
      }
    }
    before[b] = begin;
  }

 private:
  std::int32_t follow(bool there, Index whom, std::int32_t* followers) const {
    if (!there) return -1;
    followers[whom] = static_cast<std::int32_t>(visit);
    return static_cast<std::int32_t>(whom);
  }
};

}  // namespace

GridPlan plan_grid(const Images& in, int directions, Arena& arena) {
  GridPlan plan{};
  const Index N = plan.N = in.offsets[in.B];
  Writer to{in, directions, {}, {}, {}, {}, {}, arena.get<Index>(in.B)};
  for (std::int32_t** array : {&to.left, &to.up, &to.right, &to.below}) *array = arena.get<std::int32_t>(N);
  for (int d = 0; d < directions; ++d) plan.token[d] = to.token[d] = arena.get<std::int32_t>(N);
  plan.left = to.left, plan.up = to.up, plan.right = to.right, plan.below = to.below;
  plan.tile = arena.structs<GridTile>(in.B);
  for (Index first = 0, last = 0; first < in.B; first = last) {
    GridTile& tile = plan.tile[plan.tiles++];
    for (Index rows = 0; last < in.B && rows < kTileRows; ++last) {
      rows += std::min(in.sizes[last].height, in.sizes[last].width);
      tile.waves = std::max(tile.waves, waves_of(in, last));
    }
    Index* const begin = arena.get<Index>(tile.waves + 1);
    for (Index d = 0; d < tile.waves; ++d) {
      begin[d] = to.visit;
      for (Index b = first; b < last; ++b) {
        if (d < waves_of(in, b)) to.diagonal(b, d);
      }
      tile.widest = std::max(tile.widest, to.visit - begin[d]);
    }
    begin[tile.waves] = to.visit;
    tile.begin = begin;
  }
  return plan;
}

}  // namespace tidegate
