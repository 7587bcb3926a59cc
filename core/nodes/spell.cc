#include "nodes/spell.h"

#include <new>
#include <numeric>

namespace tidegate {
namespace {

// The ids of characters were looked at before, so that nothing but memory can be missing.
void settle(Status status) {
  if (status == Status::kOutOfMemory) throw std::bad_alloc();
}

}  // namespace

template <class T>
void Spell<T>::pack(const T* parameters) {
  const T* const others = parameters + characters_->table_size();
  letters_.assign(parameters, others);
  characters_->pack(letters_.data(), others, this->common->use, this->common->draw);
}

template <class T>
void Spell<T>::borrow(const Node<T>& other) {
  const Spell& lender = static_cast<const Spell&>(other);
  words_->borrow(*lender.words_);
  characters_->borrow(*lender.characters_);
}

template <class T>
void Spell<T>::begin() {
  words_->number = this->number;
  words_->common = this->common;
  words_->begin();
  touched_.begin(this->common->lanes, spellings_.B);
  said_.resize(spellings_.B * characters_->output_size());
  Index bad_token;
  settle(characters_->run(spellings_, characters_->all(), this->common->threads, said_.data(), bad_token));
}

template <class T>
void Spell<T>::open(Lane<T>& lane) {
  words_->open(lane);
  if (this->common->training) touched_.open(lane, lane.tokens);
}

template <class T>
void* Spell<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Index known = words_->width(), said = characters_->output_size(), width = known + said;
  gave = read;
  gave.width = width;
  gave.wanted = this->common->training;
  gave.row_of = nullptr;
  gave.rows = lane.give(read.N * width);
  std::int32_t* const spelling = lane.arena.template get<std::int32_t>(read.N);
  for (Index n = 0; n < read.N; ++n) {
    spelling[n] = static_cast<std::int32_t>(spelling_[read.token ? read.token[n] : n]);
    T* const row = gave.rows + n * width;
    std::copy_n(words_->distinct_rows() + read.row_of[n] * known, known, row);
    std::copy_n(said_.data() + spelling[n] * said, said, row + known);
  }
  return spelling;
}

template <class T>
void Spell<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  if (!lane.gradient) return;
  words_->touched.add(lane, read.row_of, read.N, gave.drows, gave.width);
  touched_.add(lane, static_cast<const std::int32_t*>(kept), read.N, gave.drows + words_->width(), gave.width);
}

template <class T>
void Spell<T>::finish(T* gradient, T*, const T*) {
  const Index said = characters_->output_size();
  std::vector<T> dsaid(spellings_.B * said);
  touched_.collect(this->common->threads,
                   [&](Index row, const T* sum) { std::copy_n(sum, said, dsaid.data() + row * said); });
  std::vector<Index> begin(spellings_.B + 1);
  std::iota(begin.begin(), begin.end(), Index(0));
  std::vector<double> losses(spellings_.B);
  Given<T> given(dsaid.data(), begin.data());
  std::fill(gradient, gradient + characters_->parameters(), T(0));
  Index bad_token;
  settle(characters_->gradient(spellings_, given, this->common->threads, gradient, losses.data(), bad_token));
}

template class Spell<float>;
template class Spell<double>;

}  // namespace tidegate
