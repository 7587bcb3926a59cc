// The row of each word beside what its characters say; a network of its own reads those, each spelling of a batch once.
#pragma once

#include "program/program.h"

namespace tidegate {

template <class T>
class Spell final : public Node<T> {
 public:
  Spell(std::unique_ptr<Embed<T>> words, std::unique_ptr<Program<T>> characters)
      : words_(std::move(words)), characters_(std::move(characters)), touched_(characters_->output_size()) {}

  Embed<T>& words() { return *words_; }
  // The spellings of the batch that comes next, and which of them each token has [N]; they stay where they are.
  void read(const Sequenced<T>& spellings, const std::int64_t* spelling) {
    spellings_ = spellings;
    spelling_ = spelling;
  }

  Index parameters() const override { return characters_->parameters(); }
  void pack(const T* parameters) override;
  void borrow(const Node<T>& other) override;
  void begin() override;
  void open(Lane<T>& lane) override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  void finish(T* gradient, T* table, const T* extras) override;
  TouchedRows<T>* touched() override { return &touched_; }
  // Its rows come in read: whoever streams words spells each once.
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override {
    plan.width = plan.gave.features = words_->width() + characters_->output_size();
    return nullptr;
  }

 private:
  const std::unique_ptr<Embed<T>> words_;
  const std::unique_ptr<Program<T>> characters_;
  TouchedRows<T> touched_;  // of the spellings
  Sequenced<T> spellings_{};
  const std::int64_t* spelling_ = nullptr;
  std::vector<T> letters_;  // the table of the characters
  std::vector<T> said_;     // [spellings, output size of the characters]
};

}  // namespace tidegate
