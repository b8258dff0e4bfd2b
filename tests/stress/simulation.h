// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <dlfcn.h>

#include <string>

#include "check.h"
#include "simulated.h"

// The simulated runtime at a path: its controls, and the CUDA functions that a user of the library
// calls. The library under test binds to the same path.
class Simulation {
 public:
  explicit Simulation(const std::string& path)
      : library_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::_Exit(1);
    }
    find(advance, "sim_advance");
    find(enqueue, "sim_enqueue");
    find(hold, "sim_hold");
    find(release, "sim_release");
    find(backlog_ns, "sim_backlog_ns");
    find(fail, "sim_fail");
    find(set_sticky, "sim_set_sticky");
    find(set_queue_limit, "sim_set_queue_limit");
    find(rerecorded_in_flight, "sim_rerecorded_in_flight");
    find(used_after_destroy, "sim_used_after_destroy");
    find(set_current_stream, "sim_set_current_stream");
    find(set_device, "cudaSetDevice");
    find(create_stream, "cudaStreamCreateWithFlags");
    find(begin_capture, "cudaStreamBeginCapture");
    find(end_capture, "cudaStreamEndCapture");
    find(peek_at_last_error, "cudaPeekAtLastError");
    find(get_last_error, "cudaGetLastError");
  }

  decltype(&sim_advance) advance;
  decltype(&sim_enqueue) enqueue;
  decltype(&sim_hold) hold;
  decltype(&sim_release) release;
  decltype(&sim_backlog_ns) backlog_ns;
  decltype(&sim_fail) fail;
  decltype(&sim_set_sticky) set_sticky;
  decltype(&sim_set_queue_limit) set_queue_limit;
  decltype(&sim_rerecorded_in_flight) rerecorded_in_flight;
  decltype(&sim_used_after_destroy) used_after_destroy;
  decltype(&sim_set_current_stream) set_current_stream;
  int (*set_device)(int);
  int (*create_stream)(void**, unsigned);
  int (*begin_capture)(void*, int);
  int (*end_capture)(void*, void**);
  int (*peek_at_last_error)();
  int (*get_last_error)();

  // Makes a device current, even if faults make the call fail.
  void go_to(int device) const {
    while (set_device(device) != 0) {
      get_last_error();
    }
  }

 private:
  template <typename Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    FASTTIME_CHECK(function != nullptr);
  }

  void* library_;
};
