// One small pool of threads for all kernels. Work is cut into tasks whose results do not depend on who runs them.
#pragma once

#include <atomic>

#include "tidegate.h"

namespace tidegate {

// While one exists on a thread, the work that the thread calls for can be given up: `ask` is called on that thread now
// and then, and from when it returns true no task begins and no kernel goes on. What they should have written is then
// not to be read. A null `ask` gives nothing up.
class Halt {
 public:
  explicit Halt(bool (*ask)());
  ~Halt();
  Halt(const Halt&) = delete;
  Halt& operator=(const Halt&) = delete;

  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  friend bool halted();

  bool (*const ask_)();
  std::atomic<bool> stopped_{false};
};

// Whether the work that this thread does was given up; on the thread of the `Halt` it asks, when it is time.
bool halted();

// Calls run(context, task) for task 0 .. tasks - 1 on at most `threads` threads, the caller among them, and returns
// when all are done. Denormal results are flushed to zero meanwhile. When the pool is taken, or from inside a task, the
// caller does all the work alone.
void run_tasks(Index tasks, int threads, void (*run)(void* context, Index task), void* context);

// Where the members of a team wait for each other, again and again.
class Meeting {
 public:
  explicit Meeting(int members) : members_(members) {}

  // Returns, to every member alike, whether the work was given up.
  bool wait();
  // The same for the one member who finds that out, on the thread that called for the work.
  bool lead();
  // What the last `wait` of this member returned.
  bool over() const { return round_.load(std::memory_order_relaxed) >= last_.load(std::memory_order_relaxed); }

 private:
  const int members_;
  std::atomic<int> arrived_{0};
  std::atomic<std::uint64_t> round_{0};
  std::atomic<std::uint64_t> last_{~std::uint64_t{0}};  // the round after which all leave
};

// Calls run(context, member, meeting) for member 0 .. members - 1, all at the same time, so that they may meet; `run`
// must not throw. Returns false, with nothing done, where so many threads cannot be had.
bool run_team(int members, void (*run)(void* context, Index member, Meeting& meeting), void* context);

template <class F>
bool team(int members, const F& f) {
  return run_team(
      members,
      [](void* context, Index member, Meeting& meeting) { (*static_cast<const F*>(context))(member, meeting); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

// How many of `threads` are worth waking for so many fused multiply-adds: each is to have some 10 microseconds of work.
inline int worthwhile(Index operations, int threads) {
  constexpr Index kWorthWaking = Index(1) << 18;
  const Index useful = 1 + operations / kWorthWaking;
  return static_cast<int>(useful < threads ? useful : threads);
}

template <class F>
void parallel(Index tasks, int threads, const F& f) {
  run_tasks(
      tasks, threads, [](void* context, Index task) { (*static_cast<const F*>(context))(task); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace tidegate
