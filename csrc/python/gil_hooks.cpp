// SPDX-License-Identifier: BSD-3-Clause
#include "python/gil_hooks.h"

#include <Python.h>

#include <chrono>
#include <thread>

#include "host/scoped_gil_release.h"

namespace fasttime {
namespace {

PyThreadState* current_thread_state() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

// Null if this thread does not hold the GIL, as in a drain. PyGILState_Check() cannot tell: once a
// sub-interpreter existed, it answers true for every thread.
void* release_gil() {
  PyThreadState* own = PyGILState_GetThisThreadState();
  return own != nullptr && own == current_thread_state() ? PyEval_SaveThread() : nullptr;
}

// Once the interpreter shuts down, no thread gets the GIL any more. Up to Python 3.13, Python ends
// a thread that asks for the GIL, by unwinding the thread's stack. That ends the whole process if a
// noexcept function is on the stack. So the thread sleeps here until the process ends. From 3.14
// on, Python does the same.
void take_gil_back(void* token) {
  try {
    PyEval_RestoreThread(static_cast<PyThreadState*>(token));
  } catch (...) {  // the unwinding, which must stop here
    for (;;) {
      std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }
}

}  // namespace

void install_gil_hooks() noexcept { set_blocking_hooks({&release_gil, &take_gil_back}); }

}  // namespace fasttime
