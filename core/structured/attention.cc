#include "structured/attention.h"

#include "isa/dispatch.h"
#include "layer/pack.h"
#include "machine/workspace.h"

namespace tidegate {
namespace {

// to [rows, K] = tanh(query + each key)
template <class T>
void combine(const T* query, const T* keys, Index rows, Index K, T* to) {
  for (Index s = 0; s < rows; ++s) {
    for (Index k = 0; k < K; ++k) to[s * K + k] = query[k] + keys[s * K + k];
  }
  kernels<T>().activate(kTanh, to, to, 0, rows * K);
}

// The matrix whose entry (k, column) is from[k * row_stride + column * column_stride], times rows x [count, K].
template <class T>
void multiply_by(const T* from, Index K, Index columns, Index row_stride, Index column_stride, const T* x, Index count,
                 T* y, T* scratch) {
  pack_columns(from, K, columns, row_stride, column_stride, scratch);
  Linear<T> p{};
  p.x = x;
  p.x_stride = p.K = K;
  p.w = scratch;
  p.columns = p.y_stride = columns;
  p.y = y;
  kernels<T>().linear(p, 0, count);
}

// out [rows_m, columns] = the sum over n of a[n, m] * b[n, k]
template <class T>
void outer_sum(const T* a, Index rows_m, const T* b, Index columns, Index count, T* out, T* scratch) {
  std::fill_n(out, rows_m * columns, T(0));
  Outer<T> p{};
  p.a = a;
  p.a_stride = p.rows_m = rows_m;
  p.b = b;
  p.b_stride = p.columns = columns;
  p.out = out;
  kernels<T>().outer(p, 0, count, scratch);
}

// From the gradient of the weights to that of the scores, in place.
template <class T>
void through_softmax(const T* weights, Index count, Index rows, T* d) {
  for (Index t = 0; t < count; ++t, weights += rows, d += rows) {
    T mean = T(0);
    for (Index s = 0; s < rows; ++s) mean += weights[s] * d[s];
    for (Index s = 0; s < rows; ++s) d[s] = weights[s] * (d[s] - mean);
  }
}

// The sums over t and s of ds[t, s] * v * (1 - h^2) by t and by s, and of ds[t, s] * h.
template <class T>
void additive_back(const Attention<T>& a, const AttentionBack<T>& p, const T* ds, T* h) {
  const Index K = a.K;
  std::fill_n(p.dx, p.queries * K, T(0));
  std::fill_n(p.dkeys, p.rows * K, T(0));
  std::fill_n(p.dv, K, T(0));
  for (Index t = 0; t < p.queries; ++t, ds += p.rows) {
    T* const dx = p.dx + t * K;
    combine(p.x + t * K, p.keys, p.rows, K, h);
    for (Index s = 0; s < p.rows; ++s) {
      T* const dkey = p.dkeys + s * K;
      const T *const at = h + s * K, d = ds[s];
      for (Index k = 0; k < K; ++k) {
        const T before = d * a.v[k] * (1 - at[k] * at[k]);
        dx[k] += before;
        dkey[k] += before;
        p.dv[k] += d * at[k];
      }
    }
  }
}

}  // namespace

template <class T>
Index attended_numbers(const Attention<T>& a, Index rows) {
  return (a.score == Score::kAdditive ? a.K * rows : a.K * padded<T>(rows)) + rows * padded<T>(a.M);
}

template <class T>
Attended<T> pack_attended(const Attention<T>& a, const T* keys, const T* memory, Index rows, T* to) {
  Attended<T> of{rows, to, nullptr};
  if (a.score == Score::kAdditive) {
    to = std::copy_n(keys, rows * a.K, to);
  } else {
    pack_columns(keys, a.K, rows, Index(1), a.K, to);
    to += a.K * padded<T>(rows);
  }
  of.memory = to;
  pack_columns(memory, rows, a.M, a.M, Index(1), to);
  return of;
}

template <class T>
void weigh(const Attention<T>& a, const Attended<T>& of, const T* x, const std::int32_t* row_in, Index count,
           T* weights, T* scratch) {
  if (of.rows == 0) return;
  Linear<T> p{};
  p.x_stride = p.K = a.K;
  p.y = weights;
  if (a.score == Score::kAdditive) {
    p.x = scratch;
    p.w = a.v_in;
    p.columns = p.y_stride = 1;
    for (Index t = 0; t < count; ++t, p.y += of.rows) {
      combine(x + (row_in ? row_in[t] : t) * a.K, of.keys, of.rows, a.K, scratch);
      kernels<T>().linear(p, 0, of.rows);
    }
  } else {
    p.x = x;
    p.row_in = row_in;
    p.w = of.keys;
    p.columns = p.y_stride = of.rows;
    kernels<T>().linear(p, 0, count);
  }
  kernels<T>().softmax(weights, of.rows, weights, 0, count);
}

template <class T>
void average(const Attention<T>& a, const Attended<T>& of, const T* weights, Index count, T* y,
             const std::int32_t* row_out) {
  Linear<T> p{};
  p.x = weights;
  p.x_stride = p.K = of.rows;
  p.w = of.memory;
  p.columns = p.y_stride = a.M;
  p.y = y;
  p.row_out = row_out;
  kernels<T>().linear(p, 0, count);
}

template <class T>
Index back_numbers(const Attention<T>& a, Index queries, Index rows) {
  const Index widest = padded<T>(std::max(a.M, a.K));
  const Index packed = std::max(a.M * padded<T>(rows), rows * widest);
  return queries * rows + std::max({packed, kOuterBlock * widest, rows * a.K});
}

template <class T>
void attend_back(const Attention<T>& a, const AttentionBack<T>& p, T* scratch) {
  T *const d = scratch, *const rest = scratch + p.queries * p.rows;
  multiply_by(p.memory, a.M, p.rows, Index(1), a.M, p.dy, p.queries, d, rest);
  outer_sum(p.weights, p.rows, p.dy, a.M, p.queries, p.dmemory, rest);
  through_softmax(p.weights, p.queries, p.rows, d);
  if (a.score == Score::kAdditive) return additive_back(a, p, d, rest);
  multiply_by(p.keys, p.rows, a.K, a.K, Index(1), d, p.queries, p.dx, rest);
  outer_sum(d, p.rows, p.x, a.K, p.queries, p.dkeys, rest);
}

#define TIDEGATE_OF(T)                                                                                        \
  template Index attended_numbers(const Attention<T>&, Index);                                                \
  template Attended<T> pack_attended(const Attention<T>&, const T*, const T*, Index, T*);                     \
  template void weigh(const Attention<T>&, const Attended<T>&, const T*, const std::int32_t*, Index, T*, T*); \
  template void average(const Attention<T>&, const Attended<T>&, const T*, Index, T*, const std::int32_t*);   \
  template Index back_numbers(const Attention<T>&, Index, Index);                                             \
  template void attend_back(const Attention<T>&, const AttentionBack<T>&, T*);
TIDEGATE_OF(float)
TIDEGATE_OF(double)
#undef TIDEGATE_OF

}  // namespace tidegate
