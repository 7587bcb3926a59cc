// Rows that attend to those of another node, within the same sequence: each is given the mean of what it attends to.
#pragma once

#include "nodes/product.h"
#include "structured/attention.h"

namespace tidegate {

template <class T>
class Attend final : public Node<T> {
 public:
  // `size`: hidden units of an additive score.
  Attend(Score score, Index query, Index memory, Index size);

  Index parameters() const override { return parameters_; }
  Index left_behind() const override { return 2 * (attention_.M + attention_.K); }
  void pack(const T* parameters) override;
  void borrow(const Node<T>& other) override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

  // How much each row attended to each of its sequence, where that was recorded: those of sequence b, [queries, rows],
  // from begin[b].
  struct Seen {
    const T* weights;
    const Index* begin;  // [B + 1]
  };
  Seen seen(const void* kept) const;

 private:
  struct Run;

  bool additive() const { return attention_.score == Score::kAdditive; }

  Attention<T> attention_;
  Product<T> queries_, keys_;  // by which those of an additive score are made, and keys of a general one
  Index of_keys_ = 0, bias_ = 0, v_ = 0, parameters_ = 0;  // where parameters begin
  Arena packed_;
};

}  // namespace tidegate
