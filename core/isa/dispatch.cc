#include "isa/dispatch.h"

#include <atomic>

namespace tidegate {

extern const Isa isa_scalar;
#if defined(__x86_64__)
extern const Isa isa_avx2;
extern const Isa isa_avx512;
#elif defined(__aarch64__)
extern const Isa isa_neon;
#endif

namespace {

constexpr const Isa* kBuilt[] = {
    &isa_scalar,
#if defined(__x86_64__)
    &isa_avx2,
    &isa_avx512,
#elif defined(__aarch64__)
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
