// SPDX-License-Identifier: BSD-3-Clause
#include "gil_hooks.h"

#include <Python.h>

#include <chrono>
#include <thread>

#include "others_may_run.h"

namespace fasttime {
namespace {

bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Null where this thread does not hold it, as in a drain.
void* let_go_of_gil() { return PyGILState_Check() != 0 ? PyEval_SaveThread() : nullptr; }

// While the interpreter shuts down nobody gets the GIL any more. A thread that asks is ended, which
// is no way to leave a driver's callers; it sleeps instead, and goes with the process.
void take_gil_back(void* token) {
  while (is_finalizing()) {
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
  PyEval_RestoreThread(static_cast<PyThreadState*>(token));
}

}  // namespace

void install_gil_hooks() noexcept { set_blocking_hooks({&let_go_of_gil, &take_gil_back}); }

}  // namespace fasttime
