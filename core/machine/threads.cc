#include "machine/threads.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "machine/denormals.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tidegate {
namespace {

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Looks before a worker goes to sleep: about 0.1 ms, the gap between two kernels of one training step.
constexpr int kLooks = 400, kPauses = 250;

// Between two looks at what another thread is to change. It may wait for our core to get on, so we soon offer it.
void look_away(int looks) {
  if (looks < kPauses) {
    pause();
  } else {
    std::this_thread::yield();
  }
}

constexpr std::chrono::milliseconds kAsk{100};

// Whose work this thread does, and when to ask about it next: never on a thread that only helps.
thread_local Halt* halt = nullptr;
thread_local bool asks = false;
thread_local std::chrono::steady_clock::time_point ask_next;

struct Job {
  void (*run)(void*, Index);
  void* context;
  Index tasks;
  int workers;
  Halt* halt;
  bool team;  // worker i takes task i + 1 and no other, so that its caches hold what they held the last time
  std::uint64_t generation = 0;
};

class Pool {
 public:
  // Returns false, with nothing done, where not even one thread, or not every one of a team, can be had.
  bool run(const Job& job) {
    std::unique_lock<std::mutex> taken(caller_, std::try_to_lock);
    if (!taken.owns_lock() || grow(job.workers) < (job.team ? job.workers : 1)) return false;
    job_ = job;
    job_.generation = generation_.load(std::memory_order_relaxed) + 1;
    next_.store(0, std::memory_order_relaxed);
    gate_.store(kOpen, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst) > 0) {
      const std::lock_guard<std::mutex> lock(sleep_);
      wake_.notify_all();
    }
    work(0);
    gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
    for (int looks = 0; gate_.load(std::memory_order_acquire) != 0; ++looks) {
      look_away(looks);
      if (looks % kLooks == 0) halted();
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return true;
  }

 private:
  static constexpr std::uint32_t kOpen = 1u << 31;  // the other bits count the workers inside

  // A task that runs out of memory ends the job: no other begins, and the caller gets the first error.
  void work(Index member) {
    if (job_.team) return job_.run(job_.context, member);
    try {
      for (Index task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < job_.tasks;) {
        if (halted()) return;
        job_.run(job_.context, task);
      }
    } catch (...) {
      next_.store(job_.tasks, std::memory_order_relaxed);
      const std::lock_guard<std::mutex> lock(sleep_);
      if (!error_) error_ = std::current_exception();
    }
  }

  bool enter() {
    std::uint32_t gate = gate_.load(std::memory_order_acquire);
    while (gate & kOpen) {
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  // Returns a generation after `seen`.
  std::uint64_t wait(std::uint64_t seen) {
    for (int looks = 0; looks < kLooks; ++looks) {
      const std::uint64_t now = generation_.load(std::memory_order_acquire);
      if (now > seen) return now;
      look_away(looks);
    }
    std::unique_lock<std::mutex> lock(sleep_);
    asleep_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) > seen; });
    asleep_.fetch_sub(1, std::memory_order_seq_cst);
    return generation_.load(std::memory_order_acquire);
  }

  void serve(int id, std::uint64_t seen) {
    const FlushDenormals flush;
    for (;;) {
      seen = wait(seen);
      if (!enter()) continue;
      seen =
          job_.generation;  // it may be a later job than the one we woke for; a member who took it twice would be alone
      halt = job_.halt;
      if (id < job_.workers) work(id + 1);
      gate_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  // Returns how many of `workers` there are.
  int grow(int workers) {
    try {
      while (workers_ < workers) {
        std::thread(&Pool::serve, this, workers_, generation_.load()).detach();
        ++workers_;
      }
    } catch (const std::system_error&) {
    }
    return workers_ < workers ? workers_ : workers;
  }

  std::mutex caller_;
  int workers_ = 0;
  Job job_{};
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint32_t> gate_{0};
  std::atomic<Index> next_{0};
  std::atomic<int> asleep_{0};
  std::exception_ptr error_;
  std::mutex sleep_;
  std::condition_variable wake_;
};

// Never destroyed: its threads run until the process ends. A forked child has none of them, and starts a new pool.
std::atomic<Pool*> pool{nullptr};

Pool& the_pool() {
  static const int once = pthread_atfork(nullptr, nullptr, [] { pool.store(new Pool); });
  static_cast<void>(once);
  Pool* p = pool.load();
  if (p) return *p;
  Pool* const fresh = new Pool;
  if (pool.compare_exchange_strong(p, fresh)) return *fresh;
  delete fresh;
  return *p;
}

thread_local bool inside = false;

struct Inside {
  Inside() { inside = true; }
  ~Inside() { inside = false; }
};

}  // namespace

Halt::Halt(bool (*ask)()) : ask_(ask) {
  halt = this;
  asks = ask != nullptr;
  ask_next = std::chrono::steady_clock::now() + kAsk;
}

Halt::~Halt() {
  halt = nullptr;
  asks = false;
}

bool halted() {
  if (!halt) return false;
  if (asks && !halt->stopped() && std::chrono::steady_clock::now() >= ask_next) {
    if (halt->ask_()) halt->stopped_.store(true, std::memory_order_relaxed);
    ask_next = std::chrono::steady_clock::now() + kAsk;
  }
  return halt->stopped();
}

void run_tasks(Index tasks, int threads, void (*run)(void*, Index), void* context) {
  const FlushDenormals flush;
  const Index helpers = (tasks < threads ? tasks : threads) - 1;
  if (helpers > 0 && !inside) {
    const Inside guard;
    if (the_pool().run({run, context, tasks, static_cast<int>(helpers), halt, false})) return;
  }
  for (Index task = 0; task < tasks && !halted(); ++task) run(context, task);
}

// A member may look at `last_` while the leader is a round ahead: what counts is the round that the member has behind
// it.
bool Meeting::wait() {
  const std::uint64_t round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
  } else {
    for (int looks = 0; round_.load(std::memory_order_acquire) == round; ++looks) look_away(looks);
  }
  return round + 1 >= last_.load(std::memory_order_relaxed);
}

bool Meeting::lead() {
  if (halted() && last_.load(std::memory_order_relaxed) == ~std::uint64_t{0}) {
    last_.store(round_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  return wait();
}

bool run_team(int members, void (*run)(void*, Index, Meeting&), void* context) {
  if (inside) return false;
  const FlushDenormals flush;
  const Inside guard;
  struct Team {
    void (*run)(void*, Index, Meeting&);
    void* context;
    Meeting meeting;
  } team{run, context, Meeting(members)};
  const auto member = [](void* t, Index task) {
    Team& all = *static_cast<Team*>(t);
    all.run(all.context, task, all.meeting);
    all.meeting.wait();  // nobody leaves before everybody has come
  };
  return the_pool().run({member, &team, members, members - 1, halt, true});
}

}  // namespace tidegate
