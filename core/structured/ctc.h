// Sums and best paths of connectionist temporal classification (Graves et al. 2006), one sequence after the other. A
// lane is a state. Everything is in logarithms: unlike in a chain of tags not every state can be reached from every
// other, so that sums which are scaled at each frame lose the few paths that are left to a label as long as its frames.
#pragma once

#include "isa/gemm.h"
#include "isa/math.h"

namespace tidegate {
namespace {

inline void ctc_frames(const double* x, Index K, double* y, Index first, Index last) {
  for (Index n = first; n < last; ++n) {
    const double* const from = x + n * K;
    double* const to = y + n * K;
    double peak = from[0];
    for (Index k = 1; k < K; ++k) peak = from[k] > peak || from[k] != from[k] ? from[k] : peak;
    const Vec<double> largest = Vec<double>::set(peak);
    for_lanes<double>(0, K, [&](auto lanes, Index k) { lanes.store(to + k, lanes.load(from + k) - largest); });
    constexpr Index kParts = 8;  // of the sum, side by side, whatever the instruction set
    double parts[kParts] = {}, share[kPanel<double>];
    for (Index k = 0; k < K; k += kPanel<double>) {
      const Index count = K - k < kPanel<double> ? K - k : kPanel<double>;
      for_lanes<double>(0, count,
                        [&](auto lanes, Index i) { lanes.store(share + i, exp_of_negative(lanes.load(to + k + i))); });
      for (Index i = 0; i < count; ++i) parts[i] += share[i];
    }
    double sum = ((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]));
    logarithms(&sum, &sum, 0, 1);
    const Vec<double> whole = Vec<double>::set(sum);
    const Vec<double> never = Vec<double>::set(kNever);
    for_lanes<double>(0, K, [&](auto lanes, Index k) { lanes.store(to + k, max(never, lanes.load(to + k) - whole)); });
  }
}

// The states of one sequence, in the scratch.
struct CtcStates {
  Index T, S;             // frames and states
  Index stride;           // numbers of a frame, with room on both sides
  const double* frames;   // [T, K]
  const std::int32_t* z;  // [L] the label
  double* skip;           // [S] 0 where a state may follow the one before the last, else kNever
  double* met;            // [S] logarithms of the symbols of the states at a frame
  double* rows;           // [T, stride]
  double* spare;          // [2, stride]

  // The states at frame t that can be reached, and from which the end can.
  Index low(Index t) const { return S - 2 * (T - t) > 0 ? S - 2 * (T - t) : 0; }
  Index high(Index t) const { return 2 * (t + 1) < S ? 2 * (t + 1) : S; }
  double* row(Index t) const { return rows + t * stride + kCtcRoom; }
};

inline CtcStates ctc_states(const Ctc& c, Index b, double* scratch) {
  CtcStates s{};
  s.T = c.offsets[b + 1] - c.offsets[b];
  const Index L = c.begins[b + 1] - c.begins[b];
  s.S = 2 * L + 1;
  s.stride = s.S + 2 * kCtcRoom;
  s.frames = c.frames + c.offsets[b] * c.K;
  s.z = c.labels + c.begins[b];
  s.skip = scratch;
  s.met = s.skip + s.stride;
  s.spare = s.met + s.stride;
  s.rows = s.spare + 2 * s.stride;
  for (Index i = 0; i < s.S + kCtcRoom; ++i) {
    const Index l = i / 2;
    s.skip[i] = i % 2 && i > 1 && i < s.S && s.z[l] != s.z[l - 1] ? 0.0 : kNever;
  }
  return s;
}

TIDEGATE_INLINE void ctc_meet(const CtcStates& s, const double* frame) {
  const double blank = frame[0];
  for (Index l = 0; l < s.S / 2; ++l) {
    s.met[2 * l] = blank;
    s.met[2 * l + 1] = frame[s.z[l]];
  }
  s.met[s.S - 1] = blank;
}

// What surrounds states low .. high - 1 of a row is never reached.
TIDEGATE_INLINE void ctc_fence(double* row, Index low, Index high) {
  for (Index i = 1; i <= kCtcRoom; ++i) row[low - i] = row[high + i - 1] = kNever;
}

// log(exp(a) + exp(b) + exp(c))
template <class V>
TIDEGATE_INLINE V log_of_sum(const V& a, const V& b, const V& c) {
  const V most = max(max(a, b), c);
  return most + log(exp_of_negative(a - most) + exp_of_negative(b - most) + exp_of_negative(c - most));
}

// Whether to leave at a frame: looks every so many.
TIDEGATE_INLINE bool ctc_halted(const Ctc& c, Index t, Index S) {
  return t % (kLook / (16 * S) + 1) == 0 && c.halted();
}

// Leaves in `rows` the logarithm of the sum over all beginnings of a path that end in a state at a frame.
TIDEGATE_INLINE bool ctc_forward(const Ctc& c, const CtcStates& s) {
  for (Index t = 0; t < s.T; ++t) {
    if (ctc_halted(c, t, s.S)) return false;
    const Index low = s.low(t), high = s.high(t);
    double* const now = s.row(t);
    const double* const before = now - s.stride;
    ctc_meet(s, s.frames + t * c.K);
    for_lanes<double>(low, high, [&](auto lanes, Index i) {
      if (t == 0) return lanes.store(now + i, lanes.load(s.met + i));
      const auto skipped = lanes.load(before + i - 2) + lanes.load(s.skip + i);
      const auto sum = log_of_sum(lanes.load(before + i), lanes.load(before + i - 1), skipped);
      lanes.store(now + i, sum + lanes.load(s.met + i));
    });
    ctc_fence(now, low, high);
  }
  return true;
}

// Adds up, at each frame, the shares of the paths that pass the states of a symbol.
TIDEGATE_INLINE void ctc_backward(const Ctc& c, const CtcStates& s, double total, double* shares) {
  double *next = s.spare + kCtcRoom, *now = next + s.stride;  // sums over the ends after a state, then with its symbol
  const Vec<double> whole = Vec<double>::set(total);
  for (Index t = s.T - 1; t >= 0; --t) {
    if (ctc_halted(c, t, s.S)) return;
    const Index low = s.low(t), high = s.high(t);
    double *const reached = s.row(t), *const share = shares + t * c.K;
    for_lanes<double>(low, high, [&](auto lanes, Index i) {
      auto after = lanes.load(reached + i) - lanes.load(reached + i);
      if (t + 1 < s.T) {
        const auto skipped = lanes.load(next + i + 2) + lanes.load(s.skip + i + 2);
        after = log_of_sum(lanes.load(next + i), lanes.load(next + i + 1), skipped);
      }
      lanes.store(now + i, after);
      lanes.store(reached + i, exp_of_negative(lanes.load(reached + i) + after - whole));
    });
    for (Index k = 0; k < c.K; ++k) share[k] = 0;
    for (Index i = low; i < high; ++i) share[i % 2 ? s.z[i / 2] : 0] += reached[i];
    ctc_meet(s, s.frames + t * c.K);
    for_lanes<double>(low, high,
                      [&](auto lanes, Index i) { lanes.store(now + i, lanes.load(now + i) + lanes.load(s.met + i)); });
    ctc_fence(now, low, high);
    double* const swap = now;
    now = next;
    next = swap;
  }
}

// How many frames a label needs at least: one for each symbol, and one between equal neighbours.
inline Index ctc_needed(const std::int32_t* z, Index L) {
  Index needed = L;
  for (Index l = 1; l < L; ++l) needed += z[l] == z[l - 1];
  return needed;
}

inline void ctc_sums(const CtcSums& p, Index first, Index last, double* scratch) {
  for (Index b = first; b < last; ++b) {
    const CtcStates s = ctc_states(p.ctc, b, scratch);
    double* const shares = p.shares ? p.shares + p.ctc.offsets[b] * p.ctc.K : nullptr;
    if (s.T == 0 || ctc_needed(s.z, s.S / 2) > s.T) {
      for (Index i = 0; shares && i < s.T * p.ctc.K; ++i) shares[i] = 0;
      p.total[b] = s.T == 0 && s.S == 1 ? 0.0 : kNever;
      continue;
    }
    if (!ctc_forward(p.ctc, s)) return;
    const double* const end = s.row(s.T - 1) + s.S;
    const auto sum = log_of_sum(Vec<double>::set(end[-1]), Vec<double>::set(end[-2]), Vec<double>::set(kNever));
    sum.store(p.total + b, 1);
    if (shares) ctc_backward(p.ctc, s, p.total[b], shares);
  }
}

// Of equal paths the one that stays longer in a state, read from the end.
inline void ctc_best(const CtcBest& p, Index first, Index last, double* scratch) {
  for (Index b = first; b < last; ++b) {
    const CtcStates s = ctc_states(p.ctc, b, scratch);
    std::int32_t* const states = p.states + p.ctc.offsets[b];
    p.scores[b] = s.S == 1 && s.T == 0 ? 0.0 : kNever;
    if (s.T == 0) continue;
    for (Index t = 0; t < s.T; ++t) {
      if (ctc_halted(p.ctc, t, s.S)) return;
      const Index low = s.low(t), high = s.high(t);
      double* const now = s.row(t);
      const double* const before = now - s.stride;
      ctc_meet(s, s.frames + t * p.ctc.K);
      for_lanes<double>(low, high, [&](auto lanes, Index i) {
        if (t == 0) return lanes.store(now + i, lanes.load(s.met + i));
        const auto moved = max(lanes.load(before + i - 1), lanes.load(before + i - 2) + lanes.load(s.skip + i));
        lanes.store(now + i, max(moved, lanes.load(before + i)) + lanes.load(s.met + i));
      });
      ctc_fence(now, low, high);
    }
    const double* const end = s.row(s.T - 1);
    Index at = s.S > 1 && end[s.S - 2] > end[s.S - 1] ? s.S - 2 : s.S - 1;
    p.scores[b] = end[at];
    for (Index t = s.T - 1; t > 0; --t) {
      states[t] = static_cast<std::int32_t>(at);
      const double* const from = s.row(t - 1);
      const double stay = from[at], step = from[at - 1], skip = from[at - 2] + s.skip[at];
      if (!(stay >= step && stay >= skip)) at -= step >= skip ? 1 : 2;
    }
    states[0] = static_cast<std::int32_t>(at);
  }
}

}  // namespace
}  // namespace tidegate
