// Which ISAs this build has, which this machine can run, and which one is active.
#pragma once

#include "tidegate.h"

namespace tidegate {

constexpr int kMostIsas = 4;

// ISAs that this machine can run, slowest first. Returns how many.
int available_isas(const Isa* (&list)[kMostIsas]);

const Isa& active_isa();
void use_isa(const Isa& isa);

template <class T>
const Kernels<T>& kernels();

}  // namespace tidegate
