#include "nodes/dense.h"

#include "isa/dispatch.h"
#include "layer/pack.h"

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
  arena_.clear();
  forward_ = arena_.get<T>(inputs_ * padded<T>(outputs_));
  pack_columns(parameters, inputs_, outputs_, Index(1), inputs_, forward_);
  bias_ = parameters + outputs_ * inputs_;
  if (!this->common->training) return;
  backward_ = arena_.get<T>(outputs_ * padded<T>(inputs_));
  pack_columns(parameters, outputs_, inputs_, inputs_, Index(1), backward_);
}

template <class T>
void* Dense<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  gave = read;
  gave.ends = nullptr;
  gave.width = outputs_;
  gave.wanted = this->common->training;
  gave.rows = lane.arena.template get<T>(read.N * outputs_);
  Linear<T> p{};
  p.x = read.rows;
  p.x_stride = inputs_;
  p.w = forward_;
  p.K = inputs_;
  p.columns = outputs_;
  p.bias = bias_;
  p.y = gave.rows;
  p.y_stride = outputs_;
  p.activation = activation_;
  kernels<T>().linear(p, 0, read.N);
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
  Outer<T> outer{};
  outer.a = d;
  outer.a_stride = outputs_;
  outer.rows_m = outputs_;
  outer.b = read.rows;
  outer.b_stride = inputs_;
  outer.columns = inputs_;
  outer.out = lane.gradient + this->offset;
  outer.column_sum = outer.out + outputs_ * inputs_;
  kernels<T>().outer(outer, 0, read.N, scratch<T>(outer_scratch<T>(outputs_, inputs_)));
  if (!read.wanted) return;
  read.drows = lane.arena.template get<T>(read.N * inputs_);
  Linear<T> p{};
  p.x = d;
  p.x_stride = outputs_;
  p.w = backward_;
  p.K = outputs_;
  p.columns = inputs_;
  p.y = read.drows;
  p.y_stride = inputs_;
  kernels<T>().linear(p, 0, read.N);
}

template class Dense<float>;
template class Dense<double>;

}  // namespace tidegate
