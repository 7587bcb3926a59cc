// Cells of a recurrent layer over images, a pass after the other: along all rows, or all columns, each line a sequence
// (Visin et al. 2015).
#pragma once

#include <memory>
#include <vector>

#include "nodes/recurrent.h"

namespace tidegate {

template <class T>
class Scan2d final : public Node<T> {
 public:
  struct Pass {
    RecurrentOptions options;
    bool columns;  // rather than rows
  };
  explicit Scan2d(const std::vector<Pass>& passes);

  Index parameters() const override { return parameters_; }
  Index left_behind() const override;
  Index stepped() const override;
  void pack(const T* parameters) override;
  void borrow(const Node<T>& other) override;
  void begin() override;
  void rest() override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  void finish(T* gradient, T* table, const T* extras) override;

 private:
  struct Own {
    std::unique_ptr<Recurrent<T>> layer;
    bool columns;
  };
  struct Ran;
  struct Run;
  void settle(Own& own) const;
  // The lines of all images as sequences; `cells` of columns, null for rows.
  Flow<T> lines(Lane<T>& lane, const Flow<T>& images, bool columns, const Index*& cells) const;
  // Rows of `from` in another order: to[n] = from[cells[n]], or back: to[cells[n]] = from[n].
  static void gather(const T* from, const Index* cells, Index N, Index width, T* to);
  static void scatter(const T* from, const Index* cells, Index N, Index width, T* to);

  std::vector<Own> passes_;
  Index parameters_ = 0;
};

}  // namespace tidegate
