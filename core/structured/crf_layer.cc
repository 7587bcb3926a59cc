#include "structured/crf_layer.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "isa/dispatch.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {
namespace {

constexpr Index kTaskSequences = 8;  // per task; their order of adding up is part of the result

struct Factors {
  Crf crf;
  double start, end, transitions;  // the largest score of each kind, which was taken off
};

double largest(const double* x, Index count) { return count ? *std::max_element(x, x + count) : 0; }

Factors factors(const CrfScores& in) {
  static thread_local Buffer buffer;
  const Index K = in.K;
  double* const moves = buffer.get<double>(2 * K * K + 2 * K);
  double *const back = moves + K * K, *const start = back + K * K, *const end = start + K;
  Factors f{};
  f.crf.K = K;
  f.crf.emissions = in.emissions;
  f.crf.offsets = in.offsets;
  f.crf.moves = moves;
  f.crf.moves_back = back;
  f.crf.start = start;
  f.crf.end = end;
  f.crf.halted = halted;
  f.start = largest(in.start, K);
  f.end = largest(in.end, K);
  f.transitions = largest(in.transitions, K * K);
  const auto exp = active_isa().crf->exp;
  exp(in.transitions, K * K, f.transitions, moves);
  exp(in.start, K, f.start, start);
  exp(in.end, K, f.end, end);
  for (Index i = 0; i < K; ++i) {
    for (Index j = 0; j < K; ++j) back[j * K + i] = moves[i * K + j];
  }
  return f;
}

template <class F>
void by_sequences(const CrfScores& in, Index operations, const F& f) {
  parallel(blocks(in.B, kTaskSequences), worthwhile(operations, in.threads),
           [&](Index task) { f(task, task * kTaskSequences, std::min(in.B, (task + 1) * kTaskSequences)); });
}

}  // namespace

Status crf_partition(const CrfScores& in, double* alpha, double* log_partition) try {
  static thread_local Buffer buffer;
  const Factors f = factors(in);
  double* const peak = buffer.get<double>(2 * in.N + in.B);
  double *const sum = peak + in.N, *const last = sum + in.N;
  CrfForward run{};
  run.crf = f.crf;
  run.alpha = alpha;
  run.peak = peak;
  run.sum = sum;
  run.last = last;
  const CrfKernels& k = *active_isa().crf;
  by_sequences(in, in.N * in.K * in.K, [&](Index, Index first, Index end) {
    k.forward(run, first, end, scratch<double>(in.K));
    for (Index b = first; b < end; ++b) {
      const Index T = in.offsets[b + 1] - in.offsets[b];
      double total = T ? std::log(last[b]) + f.start + f.end + static_cast<double>(T - 1) * f.transitions : 0;
      for (Index n = in.offsets[b]; n < in.offsets[b + 1]; ++n) total += peak[n] + std::log(sum[n]);
      log_partition[b] = total;
    }
  });
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

Status crf_gradient(const CrfScores& in, const double* alpha, const double* weight, double* demissions,
                    double* dtransitions, double* dstart, double* dend) try {
  static thread_local Buffer buffer;
  const Factors f = factors(in);
  const Index K = in.K, size = K * K + 2 * K, tasks = blocks(in.B, kTaskSequences);
  double* const partial = buffer.get<double>(tasks * size);
  std::fill(partial, partial + tasks * size, 0.0);
  const CrfKernels& k = *active_isa().crf;
  by_sequences(in, 3 * in.N * K * K, [&](Index task, Index first, Index end) {
    double* const moved = partial + task * size;
    CrfBackward run{};
    run.crf = f.crf;
    run.alpha = alpha;
    run.weight = weight;
    run.marginals = demissions;
    run.moved = moved;
    run.started = moved + K * K;
    run.ended = run.started + K;
    k.backward(run, first, end, scratch<double>(3 * K));
  });
  std::fill(dtransitions, dtransitions + K * K, 0.0);
  std::fill(dstart, dstart + K, 0.0);
  std::fill(dend, dend + K, 0.0);
  for (Index task = 0; task < tasks; ++task) {
    const double* const moved = partial + task * size;
    for (Index i = 0; i < K * K; ++i) dtransitions[i] += moved[i] * f.crf.moves[i];
    for (Index i = 0; i < K; ++i) {
      dstart[i] += moved[K * K + i];
      dend[i] += moved[K * K + K + i];
    }
  }
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

Status crf_best_paths(const CrfScores& in, Index paths, std::int32_t* tags, double* scores) try {
  Index longest = 1;
  for (Index b = 0; b < in.B; ++b) longest = std::max(longest, in.offsets[b + 1] - in.offsets[b]);
  CrfBest run{};
  run.N = in.N;
  run.K = in.K;
  run.paths = paths;
  run.emissions = in.emissions;
  run.offsets = in.offsets;
  run.transitions = in.transitions;
  run.start = in.start;
  run.end = in.end;
  run.tags = tags;
  run.scores = scores;
  run.halted = halted;
  const CrfKernels& k = *active_isa().crf;
  const Index width = in.K * paths;
  by_sequences(in, in.N * in.K * width, [&](Index, Index first, Index end) {
    double* const memory = scratch<double>(2 * width + blocks(longest * width, 2));
    k.best(run, first, end, memory, reinterpret_cast<std::int32_t*>(memory + 2 * width));
  });
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

}  // namespace tidegate
