// All kernels, compiled once per ISA. The table at the end is the one symbol that leaves this object.
#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "grid/lstm.h"
#include "isa/transpose.h"
#include "isa/update.h"
#include "layer/pool.h"
#include "structured/crf.h"
#include "structured/ctc.h"

namespace tidegate {
namespace {

// The kernels of every cell of the table. One whose file is not included above does not compile.
template <class T, int Count = 0>
constexpr void fill(CellKernels<T>* cell) {
  if constexpr (Count < kCells) {
    using Steps = CellSteps<static_cast<Cell>(Count)>;
    cell[Count].forward = cell_forward<T, Steps::template Forward>;
    cell[Count].backward = cell_backward<T, Steps::template Backward>;
    fill<T, Count + 1>(cell);
  }
}

template <class T>
constexpr Kernels<T> table() {
  Kernels<T> t{};
  fill(t.cell);
  fill_grid(t.grid);
  t.linear = linear<T>;
  t.outer = outer<T>;
  t.sum_by_row = sum_by_row<T>;
  t.add_rows = add_rows<T>;
  t.pool = pool<T>;
  t.pool_backward = pool_backward<T>;
  t.softmax = softmax<T>;
  t.activate = activate<T>;
  t.log = logarithms<T>;
  t.update = update<T>;
  t.sum_of_squares = sum_of_squares<T>;
  t.pack_panel = pack_panel<T>;
  return t;
}

constexpr Kernels<float> kFloat = table<float>();
constexpr Kernels<double> kDouble = table<double>();
constexpr CrfKernels kCrf = {crf_exp, crf_forward, crf_backward, crf_best};
constexpr CtcKernels kCtc = {ctc_frames, ctc_sums, ctc_best};

#if defined(TIDEGATE_SCALAR)
bool supported() { return true; }
constexpr const char* kName = "scalar";
#elif defined(TIDEGATE_AVX2)
bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
constexpr const char* kName = "avx2";
#elif defined(TIDEGATE_AVX512)
bool supported() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"); }
constexpr const char* kName = "avx512";
#elif defined(TIDEGATE_NEON)
bool supported() { return true; }
constexpr const char* kName = "neon";
#endif

}  // namespace

extern const Isa TIDEGATE_ISA_SYMBOL;
const Isa TIDEGATE_ISA_SYMBOL = {kName, supported, &kFloat, &kDouble, &kCrf, &kCtc};

}  // namespace tidegate
