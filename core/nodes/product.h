// A matrix that rows are multiplied by, as the kernels read it; shared by the nodes that have one.
#pragma once

#include "isa/dispatch.h"
#include "layer/pack.h"
#include "layer/spread.h"
#include "program/node.h"

namespace tidegate {

template <class T>
class Product {
 public:
  Product(Index inputs, Index outputs) : inputs_(inputs), outputs_(outputs) {}

  Index outputs() const { return outputs_; }

  // w [outputs, inputs], bias [outputs] or null; `back`: whether there will be a way back.
  void pack(const T* w, const T* bias, bool back) {
    arena_.clear();
    T* const own = bias ? arena_.get<T>(outputs_) : nullptr;
    if (bias) std::copy_n(bias, outputs_, own);
    bias_ = own;
    forward_ = arena_.get<T>(inputs_ * padded<T>(outputs_));
    pack_columns(w, inputs_, outputs_, Index(1), inputs_, forward_);
    if (!back) return;
    backward_ = arena_.get<T>(outputs_ * padded<T>(inputs_));
    pack_columns(w, outputs_, inputs_, inputs_, Index(1), backward_);
  }

  void borrow(const Product& other) {
    forward_ = other.forward_;
    backward_ = other.backward_;
    bias_ = other.bias_;
  }

  // y [rows, outputs] = activation(x [rows, inputs] @ w.T + bias)
  void run(const T* x, Index rows, Activation activation, T* y, int threads) const {
    Linear<T> p{};
    p.x = x;
    p.x_stride = inputs_;
    p.w = forward_;
    p.K = inputs_;
    p.columns = outputs_;
    p.bias = bias_;
    p.y = y;
    p.y_stride = outputs_;
    p.activation = activation;
    multiply(p, rows, threads);
  }

  // Adds to dw, and to dbias unless it is null, from d, the gradient of the rows before the activation.
  void add(const T* d, const T* x, Index rows, T* dw, T* dbias, int threads) const {
    Outer<T> outer{};
    outer.a = d;
    outer.a_stride = outputs_;
    outer.rows_m = outputs_;
    outer.b = x;
    outer.b_stride = inputs_;
    outer.columns = inputs_;
    outer.out = dw;
    outer.column_sum = dbias;
    add_outer(outer, rows, threads);
  }

  // dx [rows, inputs] = d @ w, or that is added to it.
  void back(const T* d, Index rows, T* dx, int threads, bool accumulate = false) const {
    Linear<T> p{};
    p.x = d;
    p.x_stride = outputs_;
    p.w = backward_;
    p.K = outputs_;
    p.columns = inputs_;
    p.y = dx;
    p.y_stride = inputs_;
    p.accumulate = accumulate;
    multiply(p, rows, threads);
  }

 private:
  const Index inputs_, outputs_;
  Arena arena_;
  T *forward_ = nullptr, *backward_ = nullptr;
  const T* bias_ = nullptr;
};

// Rows of live sequences times a matrix.
template <class T>
class LiveProduct final : public LiveNode<T> {
 public:
  LiveProduct(const Product<T>& product, Activation activation) : product_(product), activation_(activation) {}

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>&) override {
    const Index rows = in.offsets[turn.n];
    T* const y = out_.template get<T>(rows * product_.outputs());
    product_.run(in.x, rows, activation_, y, turn.threads);
    return {y, nullptr, nullptr, in.offsets};
  }

 private:
  const Product<T>& product_;
  const Activation activation_;
  Buffer out_;
};

}  // namespace tidegate
