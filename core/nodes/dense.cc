#include "nodes/dense.h"

namespace tidegate {
namespace {

// The derivative of an activation, given what it gave.
template <class T>
T slope(Activation activation, T y) {
  switch (activation) {
    case kRelu: return y > 0 ? T(1) : T(0);
    case kTanh: return 1 - y * y;
    case kSigmoid: return y * (1 - y);
    default: return T(1);
  }
}

}  // namespace

template <class T>
void Dense<T>::pack(const T* parameters) {
  product_.pack(parameters, parameters + outputs_ * inputs_, this->common->training);
}

template <class T>
void* Dense<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.ends = nullptr;
  gave.width = outputs_;
  gave.wanted = this->common->training;
  gave.rows = lane.give(read.N * outputs_);
  product_.run(read.rows, read.N, activation_, gave.rows, this->common->inside);
  return nullptr;
}

template <class T>
void Dense<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void*) {
  const T* d = gave.drows;
  if (activation_ != kIdentity) {
    T* const before = lane.arena.template get<T>(read.N * outputs_);
    for (Index i = 0; i < read.N * outputs_; ++i) before[i] = d[i] * slope(activation_, gave.rows[i]);
    d = before;
  }
  read.drows = read.wanted ? lane.arena.template get<T>(read.N * inputs_) : nullptr;
  if (lane.gradient) {
    T* const dw = lane.gradient + this->offset;
    product_.add(d, read.rows, read.N, dw, dw + outputs_ * inputs_, this->common->inside);
  }
  if (read.drows) product_.back(d, read.N, read.drows, this->common->inside);
}

template class Dense<float>;
template class Dense<double>;

}  // namespace tidegate
