#include "losses/ctc.h"

#include "isa/dispatch.h"

namespace tidegate {

template <class T>
void CtcLikelihood<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index,
                            double* losses) {
  const Index K = gave.width;
  const CtcKernels& k = *active_isa().ctc;
  Arena& arena = lane.arena;
  gave.drows = arena.get<T>(gave.N * K);
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i], begin = gave.offsets[i], rows = gave.offsets[i + 1] - begin;
    const Index offsets[2] = {0, rows}, begins[2] = {0, begins_[b + 1] - begins_[b]};
    const Arena::Mark mark = arena.mark();
    double *const frames = arena.get<double>(rows * K), *const shares = arena.get<double>(rows * K);
    const T* const from = gave.rows + begin * K;
    T* const d = gave.drows + begin * K;
    for (Index j = 0; j < rows * K; ++j) frames[j] = double(from[j]);
    k.frames(frames, K, frames, 0, rows);
    double total = 0;
    const Ctc ctc{K, frames, offsets, labels_ + begins_[b], begins, halted};
    k.sums({ctc, &total, shares}, 0, 1, arena.get<double>(ctc_scratch(rows, begins[1])));
    losses[b] = 0 - total;
    active_isa().crf->exp(frames, rows * K, 0.0, frames);
    const double weight = weight_[b];
    for (Index j = 0; j < rows * K; ++j) d[j] = static_cast<T>(weight * (frames[j] - shares[j]));
    arena.rewind(mark);
  }
}

template class CtcLikelihood<float>;
template class CtcLikelihood<double>;

}  // namespace tidegate
