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

// Null where this thread does not hold it, as in a drain. Not by PyGILState_Check(), which says
// that everybody does once there was a sub-interpreter.
void* let_go_of_gil() {
  PyThreadState* own = PyGILState_GetThisThreadState();
  return own != nullptr && own == current_thread_state() ? PyEval_SaveThread() : nullptr;
}

// Once the interpreter shuts down nobody gets the GIL any more. Up to Python 3.13 a thread that
// asks for it is ended then, by unwinding its stack, which is no way to leave a driver's callers
// and ends the process where a noexcept function is among them. It sleeps instead, as from 3.14 on
// it does by itself, and goes with the process.
void take_gil_back(void* token) {
  try {
    PyEval_RestoreThread(static_cast<PyThreadState*>(token));
  } catch (...) {  // the unwinding: it must be neither let through nor ended
    for (;;) {
      std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }
}

}  // namespace

void install_gil_hooks() noexcept { set_blocking_hooks({&let_go_of_gil, &take_gil_back}); }

}  // namespace fasttime
