// What nodes keep of live sequences, and the nodes that need little: matrices and pools.
#include "stream/stages.h"

#include <algorithm>

#include "isa/dispatch.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

// Columns that one task multiplies: whole groups of panels, so that a part is packed as it is within the whole.
template <class T>
constexpr Index kPart = 16 * 4 * kPanel<T>;

}  // namespace

template <class T>
StreamState<T>::StreamState(Index slots, std::initializer_list<std::pair<T**, Index>> places) {
  Index width = 0;
  for (const auto& place : places) width += place.second;
  T* at = memory_.template get<T>(slots * width);
  std::fill_n(at, slots * width, T(0));
  for (const auto& [place, count] : places) {
    if (count == 0) continue;
    *place = at;
    parts_.push_back({at, count});
    at += slots * count;
  }
}

template <class T>
Index StreamState<T>::numbers() const {
  Index count = 0;
  for (const Part& part : parts_) count += part.width;
  return count;
}

template <class T>
void StreamState<T>::clear(Index slot) {
  for (const Part& part : parts_) std::fill_n(part.data + slot * part.width, part.width, T(0));
}

template <class T>
void StreamState<T>::copy(Index from, Index to) {
  for (const Part& part : parts_) {
    std::copy_n(part.data + from * part.width, part.width, part.data + to * part.width);
  }
}

template <class T>
T* StreamState<T>::read(Index slot, T* to) const {
  for (const Part& part : parts_) to = std::copy_n(part.data + slot * part.width, part.width, to);
  return to;
}

template <class T>
const T* StreamState<T>::write(Index slot, const T* from) {
  for (const Part& part : parts_) {
    std::copy_n(from, part.width, part.data + slot * part.width);
    from += part.width;
  }
  return from;
}

template <class T>
StreamRows<T> MatrixStream<T>::pass(const StreamTurn& turn, const StreamRows<T>& in) {
  return {multiply(in.x, in.offsets[turn.n], turn.threads), nullptr, nullptr, in.offsets};
}

template <class T>
const T* MatrixStream<T>::multiply(const T* x, Index rows, int threads) {
  const Kernels<T>& k = kernels<T>();
  const Index K = matrix_.in, columns = matrix_.out, parts = blocks(columns, kPart<T>);
  T* const y = out_.template get<T>(rows * columns);
  parallel(parts * blocks(rows, kStreamRows), worthwhile(rows * K * columns, threads), [&](Index task) {
    const Index column = task % parts * kPart<T>, end = std::min(columns, column + kPart<T>);
    const Index row = task / parts * kStreamRows;
    Linear<T> run{};
    run.x = x;
    run.x_stride = run.K = K;
    run.w = matrix_.w + column * K;
    run.columns = end - column;
    run.bias = matrix_.bias + column;
    run.y = y + column;
    run.y_stride = columns;
    run.activation = matrix_.activation;
    k.linear(run, row, std::min(rows, row + kStreamRows));
  });
  return y;
}

template <class T>
PoolStream<T>::PoolStream(const StreamPool<T>& pool, Index slots)
    : pool_(pool), state_(slots, {{&kept_, at(pool.modes)}}) {}

// Where what is kept for a mode begins. The final state of both directions is kept before they are merged.
template <class T>
Index PoolStream<T>::at(int mode) const {
  Index at = 0;
  for (int m = 0; m < mode; ++m) at += pool_.mode[m] == kLast ? pool_.apart() : pool_.in;
  return at;
}

template <class T>
void PoolStream<T>::pass(const StreamTurn& turn, const std::vector<Index>& received, const StreamRows<T>& in) {
  parallel(1, 1, [&](Index) {
    for (Index i = 0; i < turn.n; ++i) {
      T* const kept = kept_ + turn.slot[i] * at(pool_.modes);
      for (Index row = in.offsets[i]; row < in.offsets[i + 1]; ++row) {
        add(kept, in, row, received[i] == 0 && row == in.offsets[i]);
      }
    }
  });
}

template <class T>
void PoolStream<T>::add(T* kept, const StreamRows<T>& in, Index row, bool begins) {
  const Index F = pool_.in, wide = pool_.apart();
  const T* const h = in.x + row * F;
  for (int m = 0; m < pool_.modes; ++m) {
    T* const out = kept + at(m);
    if (pool_.mode[m] == kLast) {
      const T* const apart = in.apart + row * wide;
      const Index ahead = pool_.layer->forward() ? pool_.layer->H : 0;
      std::copy_n(apart, ahead, out);  // the final state of the backward direction lies at the first step
      if (begins) std::copy_n(apart + ahead, wide - ahead, out + ahead);
    } else if (begins) {
      std::copy_n(h, F, out);
    } else if (pool_.mode[m] == kMean) {
      for (Index k = 0; k < F; ++k) out[k] += h[k];
    } else if (pool_.mode[m] == kMax) {
      for (Index k = 0; k < F; ++k) out[k] = h[k] > out[k] || h[k] != h[k] ? h[k] : out[k];
    }
  }
}

template <class T>
const T* PoolStream<T>::say(const Index* slot, Index n, const std::vector<Index>& steps) {
  const Index F = pool_.in;
  T* const out = out_.template get<T>(n * pool_.out);
  for (Index i = 0; i < n; ++i) {
    const Index count = steps[slot[i]];
    for (int m = 0; m < pool_.modes; ++m) {
      const T* const kept = kept_ + slot[i] * at(pool_.modes) + at(m);
      T* const to = out + i * pool_.out + m * F;
      if (pool_.mode[m] == kLast && pool_.apart() != F) {
        merge_directions(pool_.layer->merge, kept, F, 1, to);
      } else if (pool_.mode[m] == kMean && count > 0) {
        parallel(1, 1, [&](Index) {
          for (Index k = 0; k < F; ++k) to[k] = kept[k] / static_cast<T>(count);
        });
      } else {
        std::copy_n(kept, F, to);
      }
    }
  }
  return out;
}

template class StreamState<float>;
template class StreamState<double>;
template class MatrixStream<float>;
template class MatrixStream<double>;
template class PoolStream<float>;
template class PoolStream<double>;

}  // namespace tidegate
