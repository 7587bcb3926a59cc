// Runs a kernel without the interpreter lock, and lets Ctrl-C end it.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>
#include <thread>

#include "machine/threads.h"

namespace tidegate {

// The interpreter lock, given up while this exists. Where the interpreter ends meanwhile, a thread that is not the main
// one can never have the lock again, and waits here for the end of the process.
class Unlocked {
 public:
  Unlocked();
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked();

 private:
  PyThreadState* const state_;
};

bool is_main_thread();

// Whether this thread runs the handlers of signals just now.
bool asking();

// Lets the handlers of signals run that have come; true where one raised, as that of Ctrl-C does.
bool interrupted();

// Runs f without the interpreter lock. Signals are looked for meanwhile, and may end f early by an exception, where
// `stoppable` says that nobody sees what f leaves behind then.
template <class F>
void unlocked(bool stoppable, const F& f) {
  bool stopped = false;
  {
    const Unlocked lock;
    if (asking()) {  // a handler of a signal calls us amid another call, whose scratch this thread holds
      std::exception_ptr error;
      std::thread([&] {
        try {
          f();
        } catch (...) {
          error = std::current_exception();
        }
      }).join();
      if (error) std::rethrow_exception(error);
    } else {
      const Halt halt(stoppable && is_main_thread() ? interrupted : nullptr);
      f();
      stopped = halt.stopped();
    }
  }
  if (stopped) throw nanobind::python_error();
}

}  // namespace tidegate
