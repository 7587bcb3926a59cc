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

  // Before a batch: `rows` that could be touched.
  void begin(int lanes, Index rows) {
    lanes_.assign(lanes, {});
    rows_ = rows;
    joined_ = nullptr;
  }

  // Before the first group of a lane: `most` rows that will be touched.
  void open(Lane<T>& lane, Index most) {
    Part& part = lanes_[lane.index];
    most = std::min(rows_, most);
    part.place = lane.kept.template get<std::int32_t>(rows_);
    part.row = lane.kept.template get<std::int32_t>(most);
    part.gradient = lane.kept.template get<T>(most * width_);
    part.count = 0;
    std::fill(part.place, part.place + rows_, -1);
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
  void collect(int threads, const F& f) const {
    each_sum(0, static_cast<Index>(lanes_.size()), threads, [&](Index row, const T* sum) {
      if (joined_) sum = joined_ + row * width_;
      if (sum) f(row, sum);
    });
  }

  Index size() const { return rows_ * width_; }
  // sums [rows, width] of some of the lanes; of rows that none of them touched, kNothing.
  void add_up(Index first, Index last, int threads, T* sums) const {
    each_sum(first, last, threads, [&](Index row, const T* sum) {
      T* const to = sums + row * width_;
      sum ? std::copy_n(sum, width_, to) : std::fill_n(to, width_, kNothing<T>);
    });
  }
  // Takes the sums of all lanes, found elsewhere, instead of its own; they stay where they are until the next batch.
  void join(const T* sums) { joined_ = sums; }

 private:
  // Calls f(row, sum [width]) for every row, null where none of the lanes first .. last - 1 touched it.
  template <class F>
  void each_sum(Index first, Index last, int threads, const F& f) const {
    constexpr Index kRows = 256;
    const Index lanes = last - first;
    parallel(blocks(rows_, kRows), threads, [&](Index task) {
      T* const memory = scratch<T>(lanes * width_);
      std::vector<T*> parts(lanes);
      for (Index row = task * kRows; row < std::min(rows_, (task + 1) * kRows); ++row) {
        for (Index lane = 0; lane < lanes; ++lane) {
          const Part& part = lanes_[first + lane];
          const Index at = part.place ? part.place[row] : -1;
          parts[lane] = at < 0 ? nullptr : memory + lane * width_;
          if (at >= 0) std::copy_n(part.gradient + at * width_, width_, parts[lane]);
        }
        f(row, sum_as_tree(parts.data(), static_cast<int>(lanes), width_));
      }
    });
  }

  struct Part {
    std::int32_t* place;  // [rows] among the touched ones, or -1
    std::int32_t* row;    // [count]
    T* gradient;          // [count, width]
    Index count;
  };

  const Index width_;
  Index rows_ = 0;
  const T* joined_ = nullptr;
  std::vector<Part> lanes_;
};

}  // namespace tidegate
