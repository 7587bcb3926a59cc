// Rows of a table, one for each token id. A batch looks up each distinct id once; a lane keeps the gradient of the rows
// that it touched, and of no others.
#pragma once

#include <vector>

#include "program/node.h"

namespace tidegate {

template <class T>
class Embed final : public Node<T> {
 public:
  // `unread`: the node behind it reads the distinct rows by itself.
  Embed(Index rows, Index width, double dropout, bool unread)
      : rows_(rows), width_(width), dropout_(dropout), unread_(unread) {}

  Index rows() const { return rows_; }
  Index width() const { return width_; }

  void pack(const T* parameters) override;  // the table
  void begin() override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  void open(Lane<T>& lane) override;

  const T* distinct_rows() const { return distinct_; }

  // The number of a distinct row among those that a lane touched; `fresh` where it is the first time.
  Index touch(const Lane<T>& lane, Index row, bool& fresh) {
    Touched& touched = touched_[lane.index];
    fresh = touched.place[row] < 0;
    if (fresh) {
      touched.place[row] = static_cast<std::int32_t>(touched.count);
      touched.row[touched.count++] = static_cast<std::int32_t>(row);
    }
    return touched.place[row];
  }
  Index touched(const Lane<T>& lane) const { return touched_[lane.index].count; }
  const std::int32_t* touched_rows(const Lane<T>& lane) const { return touched_[lane.index].row; }
  T* touched_gradient(const Lane<T>& lane) { return touched_[lane.index].gradient; }  // [touched, width]

  // Writes the gradient of the distinct rows into that of the table, [rows, width], the sum of the lanes as a tree.
  void collect(T* table) const;

 private:
  struct Touched {
    std::int32_t* place;  // [distinct] among the touched rows, or -1
    std::int32_t* row;    // [most] distinct row
    T* gradient;          // [most, width]
    Index count, most;
  };

  const Index rows_, width_;
  const double dropout_;
  const bool unread_;
  Arena arena_;
  const T* table_ = nullptr;
  T* distinct_ = nullptr;  // [distinct, width]
  T* scale_ = nullptr;  // [distinct] of what is dropped, or null
  std::vector<Touched> touched_;
};

}  // namespace tidegate
