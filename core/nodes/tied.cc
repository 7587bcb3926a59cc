#include "nodes/tied.h"

namespace tidegate {

template <class T>
void* Tied<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.ends = nullptr;
  gave.width = table_.vocabulary();
  gave.wanted = this->common->training;
  gave.rows = lane.give(read.N * gave.width);
  product_.run(read.rows, read.N, kIdentity, gave.rows, this->common->inside);
  return nullptr;
}

template <class T>
void Tied<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  read.drows = lane.arena.template get<T>(read.N * read.width);
  if (lane.gradient) {
    product_.add(gave.drows, read.rows, read.N, lane.gradient + this->extras_offset, lane.gradient + this->offset,
                 this->common->inside);
  }
  product_.back(gave.drows, read.N, read.drows, this->common->inside);
}

template <class T>
void Tied<T>::finish(T*, T* table, const T* extras) {
  for (Index i = 0; i < table_.size(); ++i) table[i] += extras[i];
}

template class Tied<float>;
template class Tied<double>;

}  // namespace tidegate
