#include "bind/unlocked.h"

#include <chrono>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <pthread.h>
#endif

namespace tidegate {
namespace {

thread_local bool runs_handlers = false;

}  // namespace

Unlocked::Unlocked() : state_(PyEval_SaveThread()) {}

Unlocked::~Unlocked() {
  try {
    PyEval_RestoreThread(state_);
  } catch (...) {  // up to Python 3.13 it ends the thread, by unwinding a stack that must not be unwound
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

bool is_main_thread() {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#else
  return pthread_main_np() != 0;
#endif
}

bool asking() { return runs_handlers; }

bool interrupted() {
  const PyGILState_STATE lock = PyGILState_Ensure();
  runs_handlers = true;
  const bool raised = PyErr_CheckSignals() != 0;
  runs_handlers = false;
  PyGILState_Release(lock);
  return raised;
}

}  // namespace tidegate
