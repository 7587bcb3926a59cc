// Rows times the table of the embedding, plus a bias: a score for each id (Press & Wolf 2017; Inan et al. 2017).
#pragma once

#include "nodes/embed.h"
#include "nodes/product.h"

namespace tidegate {

template <class T>
class Tied final : public Node<T> {
 public:
  explicit Tied(const Embed<T>& table) : table_(table), product_(table.width(), table.vocabulary()) {}

  bool by_row() const override { return true; }
  Index parameters() const override { return table_.vocabulary(); }
  Index extras() const override { return table_.size(); }  // the gradient of the table
  void pack(const T* parameters) override { product_.pack(table_.table(), parameters, this->common->training); }
  void borrow(const Node<T>& other) override { product_.borrow(static_cast<const Tied&>(other).product_); }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  void finish(T* gradient, T* table, const T* extras) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override {
    plan.gave.features = table_.vocabulary();
    return std::make_unique<LiveProduct<T>>(product_, kIdentity);
  }

 private:
  const Embed<T>& table_;
  Product<T> product_;
};

}  // namespace tidegate
