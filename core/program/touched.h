// The gradient of those rows of a large matrix that a lane touched, and of no others.
#pragma once

#include <vector>

#include "program/node.h"
#include "program/sum.h"

namespace tidegate {

template <class T>
class TouchedRows {
 public:
  explicit TouchedRows(Index width) : width_(width) {}

  void begin(int lanes) { lanes_.assign(lanes, {}); }

  // Before the first group of a lane: `rows` that could be touched, `most` that will be.
  void open(Lane<T>& lane, Index rows, Index most) {
    Part& part = lanes_[lane.index];
    most = std::min(rows, most);
    part.place = lane.kept.template get<std::int32_t>(rows);
    part.row = lane.kept.template get<std::int32_t>(most);
    part.gradient = lane.kept.template get<T>(most * width_);
    part.count = 0;
    std::fill(part.place, part.place + rows, -1);
  }

  // The number of a row among those that the lane touched.
  Index touch(const Lane<T>& lane, Index row) {
    Part& part = lanes_[lane.index];
    if (part.place[row] < 0) {
      part.place[row] = static_cast<std::int32_t>(part.count);
      part.row[part.count++] = static_cast<std::int32_t>(row);
    }
    return part.place[row];
  }

  Index count(const Lane<T>& lane) const { return lanes_[lane.index].count; }
  const std::int32_t* rows(const Lane<T>& lane) const { return lanes_[lane.index].row; }
  T* gradient(const Lane<T>& lane) const { return lanes_[lane.index].gradient; }  // [count, width]

  // Adds d [N, stride] to the rows that they belong to.
  void add(Lane<T>& lane, const std::int32_t* row_of, Index N, const T* d, Index stride) {
    for (Index n = 0; n < N; ++n) {
      const Index before = count(lane), at = touch(lane, row_of[n]);
      T* const to = gradient(lane) + at * width_;
      const T* const from = d + n * stride;
      for (Index k = 0; k < width_; ++k) to[k] = at == before ? from[k] : to[k] + from[k];
    }
  }

  // Calls f(row, sum [width]) for every row that some lane touched: the sum of the lanes as a tree.
  template <class F>
  void collect(Index rows, int threads, const F& f) const {
    constexpr Index kRows = 256;
    const auto lanes = static_cast<Index>(lanes_.size());
    parallel(blocks(rows, kRows), threads, [&](Index task) {
      T* const memory = scratch<T>(lanes * width_);
      std::vector<T*> parts(lanes);
      for (Index row = task * kRows; row < std::min(rows, (task + 1) * kRows); ++row) {
        for (Index lane = 0; lane < lanes; ++lane) {
          const Part& part = lanes_[lane];
          const Index at = part.place ? part.place[row] : -1;
          parts[lane] = at < 0 ? nullptr : memory + lane * width_;
          if (at >= 0) std::copy_n(part.gradient + at * width_, width_, parts[lane]);
        }
        const T* const sum = sum_as_tree(parts.data(), static_cast<int>(lanes), width_);
        if (sum) f(row, sum);
      }
    });
  }

 private:
  struct Part {
    std::int32_t* place;  // [rows] among the touched ones, or -1
    std::int32_t* row;    // [count]
    T* gradient;          // [count, width]
    Index count;
  };

  const Index width_;
  std::vector<Part> lanes_;
};

}  // namespace tidegate
