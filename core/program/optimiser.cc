#include "program/optimiser.h"

#include <algorithm>
#include <vector>

#include "isa/dispatch.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {
namespace {

constexpr Index kStretch = 1 << 14;  // numbers of a task

struct Stretch {
  Index parameter, first, last;
};

std::vector<Stretch> stretches_of(const Index* begin, Index count) {
  std::vector<Stretch> stretches;
  for (Index p = 0; p < count; ++p) {
    for (Index first = begin[p]; first < begin[p + 1]; first += kStretch) {
      stretches.push_back({p, first, std::min(begin[p + 1], first + kStretch)});
    }
  }
  return stretches;
}

}  // namespace

template <class T>
void sums_of_squares(const T* gradient, const Index* begin, Index count, int threads, double* squares) {
  const std::vector<Stretch> stretches = stretches_of(begin, count);
  std::vector<double> sums(stretches.size());
  parallel(static_cast<Index>(stretches.size()), worthwhile(begin[count], threads), [&](Index task) {
    sums[task] = kernels<T>().sum_of_squares(gradient, stretches[task].first, stretches[task].last);
  });
  std::fill(squares, squares + count, 0.0);
  for (std::size_t i = 0; i < stretches.size(); ++i) squares[stretches[i].parameter] += sums[i];
}

template <class T>
void update_all(const Update<T>& update, const Index* begin, const double* decay, Index count, int threads) {
  const std::vector<Stretch> stretches = stretches_of(begin, count);
  parallel(static_cast<Index>(stretches.size()), worthwhile(4 * begin[count], threads), [&](Index task) {
    Update<T> own = update;
    own.decay = static_cast<T>(decay[stretches[task].parameter]);
    kernels<T>().update(own, stretches[task].first, stretches[task].last);
  });
}

template void sums_of_squares(const float*, const Index*, Index, int, double*);
template void sums_of_squares(const double*, const Index*, Index, int, double*);
template void update_all(const Update<float>&, const Index*, const double*, Index, int);
template void update_all(const Update<double>&, const Index*, const double*, Index, int);

}  // namespace tidegate
