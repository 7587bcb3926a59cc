// Attention of rows to those of one sequence: scores, their softmax, and the mean of what is attended to. Knows arrays
// only; every number is the same, to the bit, whichever rows are asked for together.
#pragma once

#include "tidegate.h"

namespace tidegate {

// How a query is compared with a key: by their product (Luong et al. 2015), or as v . tanh(query + key) (Bahdanau et
// al. 2015).
enum class Score : int { kDot, kGeneral, kAdditive };

// What all sequences have in common.
template <class T>
struct Attention {
  Score score;
  Index K, M;     // features of a key, which are those of a query, and of a row of memory
  const T* v;     // [K] of an additive score
  const T* v_in;  // the same packed, [K, 1]
};

// One sequence that is attended to, as the kernels read it.
template <class T>
struct Attended {
  Index rows;
  const T* keys;    // packed [K, rows]; of an additive score as they are, [rows, K]
  const T* memory;  // packed [rows, M]
};

// Numbers that `pack_attended` writes.
template <class T>
Index attended_numbers(const Attention<T>& a, Index rows);
// keys [rows, K], memory [rows, M]
template <class T>
Attended<T> pack_attended(const Attention<T>& a, const T* keys, const T* memory, Index rows, T* to);

// weights [count, rows], each row a softmax: how much query row_in[i] of x [*, K], or row i, attends to each row.
// Scratch: rows * K numbers of an additive score.
template <class T>
void weigh(const Attention<T>& a, const Attended<T>& of, const T* x, const std::int32_t* row_in, Index count,
           T* weights, T* scratch);
// y[row_out[i]], or y[i], of [*, M]: the mean of memory under the weights; zeros where there are no rows.
template <class T>
void average(const Attention<T>& a, const Attended<T>& of, const T* weights, Index count, T* y,
             const std::int32_t* row_out);

// One sequence gone back through.
template <class T>
struct AttentionBack {
  Index queries, rows;
  const T* x;        // [queries, K]
  const T* keys;     // [rows, K]
  const T* memory;   // [rows, M]
  const T* weights;  // [queries, rows]
  const T* dy;       // [queries, M]
  T* dx;             // [queries, K]
  T* dkeys;          // [rows, K]
  T* dmemory;        // [rows, M] but for what comes through the keys
  T* dv;             // [K] of an additive score
};
template <class T>
Index back_numbers(const Attention<T>& a, Index queries, Index rows);
template <class T>
void attend_back(const Attention<T>& a, const AttentionBack<T>& p, T* scratch);

}  // namespace tidegate
