#include "isa/dispatch.h"

#include <atomic>

namespace tidegate {

// Those that were built, slowest first.
#if defined(TIDEGATE_HAS_SCALAR)
extern const Isa isa_scalar;
#endif
#if defined(TIDEGATE_HAS_AVX2)
extern const Isa isa_avx2;
#endif
#if defined(TIDEGATE_HAS_AVX512)
extern const Isa isa_avx512;
#endif
#if defined(TIDEGATE_HAS_NEON)
extern const Isa isa_neon;
#endif

namespace {

constexpr const Isa* kBuilt[] = {
#if defined(TIDEGATE_HAS_SCALAR)
    &isa_scalar,
#endif
#if defined(TIDEGATE_HAS_AVX2)
    &isa_avx2,
#endif
#if defined(TIDEGATE_HAS_AVX512)
    &isa_avx512,
#endif
#if defined(TIDEGATE_HAS_NEON)
    &isa_neon,
#endif
};

std::atomic<const Isa*> active{nullptr};

}  // namespace

int available_isas(const Isa* (&list)[kMostIsas]) {
  int count = 0;
  for (const Isa* isa : kBuilt) {
    if (isa->supported()) list[count++] = isa;
  }
  return count;
}

const Isa& active_isa() {
  const Isa* isa = active.load(std::memory_order_relaxed);
  if (isa) return *isa;
  const Isa* list[kMostIsas];
  isa = list[available_isas(list) - 1];
  active.store(isa, std::memory_order_relaxed);
  return *isa;
}

void use_isa(const Isa& isa) { active.store(&isa, std::memory_order_relaxed); }

template <>
const Kernels<float>& kernels() {
  return *active_isa().f32;
}
template <>
const Kernels<double>& kernels() {
  return *active_isa().f64;
}

}  // namespace tidegate
