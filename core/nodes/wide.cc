#include "nodes/wide.h"

namespace tidegate {

template <class T>
void* Wide<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.ends = nullptr;
  gave.wanted = this->common->training;
  gave.rows = lane.give(read.N * outputs_);
  for (Index b = 0; b < read.N; ++b) {
    T* const row = gave.rows + b * outputs_;
    sparse_row(rows_, read.key[b], w_, w_ + features_ * outputs_, outputs_, row);
    for (Index k = 0; k < outputs_; ++k) row[k] += read.rows[b * outputs_ + k];
  }
  return nullptr;
}

template <class T>
void Wide<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  read.drows = gave.drows;
  if (!lane.gradient) return;
  T* const gradient = lane.gradient + this->offset;
  for (Index b = 0; b < read.N; ++b) {
    const T* const d = gave.drows + b * outputs_;
    for (Index i = rows_.offsets[read.key[b]]; i < rows_.offsets[read.key[b] + 1]; ++i) {
      T* const to = gradient + rows_.ids[i] * outputs_;
      for (Index k = 0; k < outputs_; ++k) to[k] += rows_.values[i] * d[k];
    }
    for (Index k = 0; k < outputs_; ++k) gradient[features_ * outputs_ + k] += d[k];
  }
}

template class Wide<float>;
template class Wide<double>;

}  // namespace tidegate
