// SPDX-License-Identifier: BSD-3-Clause
// Functions for tests and benchmarks only: they replace the CUDA runtime behind the running
// process. Python code cannot reach them by name; tests look them up in the extension's file with
// ctypes.PyDLL, which keeps the GIL. No scope may be open.
#include <cstdio>
#include <exception>

#include "core/forks.h"
#include "cuda/cuda_runtime.h"

#define FASTTIME_TESTING extern "C" __attribute__((visibility("default")))

// Binds the library at `path`, and forgets everything recorded. Returns null, or the reason why the
// library cannot be bound, valid until the next call.
FASTTIME_TESTING const char* fasttime_testing_bind_library(const char* path) {
  static char reason[512];
  fasttime::restart_recorders();
  try {
    fasttime::bind_library(path);
    return nullptr;
  } catch (const std::exception& error) {
    std::snprintf(reason, sizeof(reason), "%s", error.what());
    return reason;
  }
}

// Goes back to the host backend, unbound, and forgets everything recorded.
FASTTIME_TESTING void fasttime_testing_unbind() {
  fasttime::restart_recorders();
  fasttime::unbind();
}

// Replaces the host clock of the table in use, so that a simulated device under torch and the host
// share one clock. No scope may have begun.
FASTTIME_TESTING void fasttime_testing_use_clock(int64_t (*now_ns)() noexcept) {
  static fasttime::CudaRuntime table;
  table = fasttime::runtime();
  table.host_now_ns = now_ns;
  fasttime::active_runtime.store(&table, std::memory_order_release);
}
