#include "losses/regression.h"

namespace tidegate {

template <class T>
void Regression<T>::lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index,
                         double* losses) {
  gave.drows = lane.arena.template get<T>(count * numbers_);
  const T* answer = gave.rows;
  T* d = gave.drows;
  for (Index i = 0; i < count; ++i, answer += numbers_, d += numbers_) {
    const Index b = sequences[i];
    const T *const truth = truth_ + b * numbers_, *const scale = scale_ + b * numbers_;
    const T* const shift = shift_ + b * numbers_;
    double loss = 0;
    for (Index k = 0; k < numbers_; ++k) {
      const double away = double(truth[k]) - (double(answer[k]) * double(scale[k]) + double(shift[k]));
      double lost = away * away, slope = -2 * away;
      if (kind_[k] == kAbsolute) {
        lost = away < 0 ? -away : away;
        slope = away > 0 ? -1 : away < 0 ? 1 : 0;
      } else if (kind_[k] == kPinball) {
        slope = (away < 0 ? 1 : 0) - level_[k];
        lost = -away * slope;
      }
      loss += share_[k] * lost;
      d[k] = static_cast<T>(weight_[b] * share_[k] * slope * double(scale[k]));
    }
    losses[b] = loss;
  }
}

template class Regression<float>;
template class Regression<double>;

}  // namespace tidegate
