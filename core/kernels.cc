// All kernels, compiled once per ISA. The table at the end is the one symbol that leaves this object.
#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "isa/transpose.h"
#include "layer/pool.h"
#include "structured/crf.h"

namespace tidegate {
namespace {

template <class T>
constexpr Kernels<T> kTable = {
    {
        {cell_forward<T, RnnTanhForward>, cell_backward<T, RnnTanhBackward>},
        {cell_forward<T, RnnReluForward>, cell_backward<T, RnnReluBackward>},
        {cell_forward<T, LstmForward>, cell_backward<T, LstmBackward>},
        {cell_forward<T, GruForward>, cell_backward<T, GruBackward>},
    },  // in the order of `Cell`
    linear<T>,
    outer<T>,
    sum_by_row<T>,
    pool<T>,
    pool_backward<T>,
    softmax<T>,
    activate<T>,
    pack_panel<T>,
};

constexpr Kernels<float> kFloat = kTable<float>;
constexpr Kernels<double> kDouble = kTable<double>;
constexpr CrfKernels kCrf = {crf_exp, crf_forward, crf_backward, crf_best};

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
const Isa TIDEGATE_ISA_SYMBOL = {kName, supported, &kFloat, &kDouble, &kCrf};

}  // namespace tidegate
