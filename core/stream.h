// A layer of one direction over live sequences: weights packed once, the state kept between steps.
#pragma once

#include "layer.h"
#include "workspace.h"

namespace tidegate {

// B sequences that step together. One caller at a time.
template <class T>
class Stream {
 public:
  // Packs the weights, which may then die; the state starts at h0 and c0 (null: zero). Throws std::bad_alloc.
  Stream(Cell cell, Index B, Index C, Index H, const Direction<T>& direction);

  // Takes x [B, C] one step on, writes the new state to h [B, H], and keeps it. Throws std::bad_alloc.
  void step(const T* x, T* h, int threads);

  // Multiplies every row of a table [V, C] by w_ih once, so that no step with a token has to. Throws std::bad_alloc.
  void keep_table(const T* table, Index V, int threads);

  // Takes row tokens[b] of the table one step on for each sequence b; otherwise as `step`.
  void step_tokens(const std::int32_t* tokens, T* h, int threads);

  Index B() const { return B_; }
  Index C() const { return C_; }
  Index H() const { return H_; }
  Index V() const { return V_; }
  T* h() { return h_; }  // [B, H]
  T* c() { return c_; }  // [B, H] (lstm)

 private:
  // Runs the cell over rows of projected input; project(column, end, first, last) fills them before, where it must.
  template <class F>
  void advance(const T* input, const std::int32_t* row, T* h, Index weights, int threads, const F& project);

  const Cell cell_;
  const Index B_, C_, H_;
  Index V_ = 0;
  Buffer memory_, table_memory_;
  T *w_ih_, *w_hh_, *bias_, *bias_n_, *projected_, *h_, *c_, *table_ = nullptr;
  Index *start_, *length_;
  std::int32_t* order_;
};

}  // namespace tidegate
