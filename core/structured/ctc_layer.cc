#include "structured/ctc_layer.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "isa/dispatch.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {
namespace {

constexpr Index kTaskFrames = 64;
constexpr Index kCost = 16;  // of a state at a frame, in multiply-adds

Index room(const CtcBatch& in, Index b) {
  return ctc_scratch(in.offsets[b + 1] - in.offsets[b], in.begins[b + 1] - in.begins[b]);
}

// One sequence is one task.
template <class F>
Status each_sequence(const CtcBatch& in, const F& f) try {
  Index states = 0;
  for (Index b = 0; b < in.B; ++b) states += room(in, b);
  std::atomic<bool> lacks{false};
  parallel(in.B, worthwhile(kCost * states, in.threads), [&](Index b) {
    try {
      f(b, scratch<double>(room(in, b)));
    } catch (const std::bad_alloc&) {
      lacks = true;
    }
  });
  return lacks ? Status::kOutOfMemory : Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

Ctc ctc(const CtcBatch& in) { return {in.K, in.frames, in.offsets, in.labels, in.begins, halted}; }

}  // namespace

void ctc_softmax(const double* scores, Index N, Index K, int threads, double* frames) {
  const CtcKernels& k = *active_isa().ctc;
  parallel(blocks(N, kTaskFrames), worthwhile(kCost * N * K, threads),
           [&](Index task) { k.frames(scores, K, frames, task * kTaskFrames, std::min(N, (task + 1) * kTaskFrames)); });
}

Status ctc_totals(const CtcBatch& in, double* total, double* shares) {
  const CtcSums run{ctc(in), total, shares};
  const CtcKernels& k = *active_isa().ctc;
  return each_sequence(in, [&](Index b, double* memory) { k.sums(run, b, b + 1, memory); });
}

Status ctc_align(const CtcBatch& in, std::int32_t* states, double* scores) {
  const CtcBest run{ctc(in), states, scores};
  const CtcKernels& k = *active_isa().ctc;
  return each_sequence(in, [&](Index b, double* memory) { k.best(run, b, b + 1, memory); });
}

}  // namespace tidegate
