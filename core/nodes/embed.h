// Rows of a table, one for each token id, with the numbers that come beside a token behind its row. A batch looks up
// each distinct id once.
#pragma once

#include "program/touched.h"

namespace tidegate {

template <class T>
class Embed final : public Node<T> {
 public:
  // `beside`: numbers that come with each token; `unread`: the node behind it reads the distinct rows by itself.
  Embed(Index rows, Index width, Index beside, double dropout, bool unread)
      : touched(width), rows_(rows), width_(width), beside_(beside), dropout_(dropout), unread_(unread) {}

  Index vocabulary() const { return rows_; }
  Index width() const { return width_; }
  Index beside() const { return beside_; }
  Index size() const { return rows_ * width_; }
  const T* table() const { return table_; }
  const T* distinct_rows() const { return distinct_; }  // [distinct, width]

  void pack(const T* parameters) override;  // the table
  void borrow(const Node<T>& other) override { table_ = static_cast<const Embed&>(other).table_; }
  void begin() override;
  void rest() override { arena_.release(); }
  void open(Lane<T>& lane) override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

  // Writes the gradient of the distinct rows into that of the table, [vocabulary, width].
  void collect(T* table) const;

  TouchedRows<T> touched;  // of the distinct rows

 private:
  const Index rows_, width_, beside_;
  const double dropout_;
  const bool unread_;
  Arena arena_;
  const T* table_ = nullptr;
  T* distinct_ = nullptr;
  T* scale_ = nullptr;  // [distinct] of what is dropped, or null
};

}  // namespace tidegate
