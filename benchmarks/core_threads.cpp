// SPDX-License-Identifier: BSD-3-Clause
// The core without Python, driven by threads on streams of their own, beside raw C that looks up
// torch's current stream and records an event on it, twice. Compiled on demand by core_threads.py
// together with the core's sources, and loaded into a process in which torch has started CUDA.

#include <dlfcn.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/recorder.h"
#include "cuda/cuda_runtime.h"
#include "cuda/torch_streams.h"

namespace {

using fasttime::CudaRuntime;
using fasttime::OpenScope;
using fasttime::Place;
using fasttime::Recorder;

struct Worker {
  void* stream = nullptr;
  std::vector<void*> events;  // two for each section of the raw pair
};

// torch_set_current_cuda_stream of torch's stable C shim; its status is 0 for success.
int32_t (*set_current_stream)(void* stream, int32_t device);
Recorder* recorder;
fasttime::SiteTable::Id site;
int32_t device;
std::vector<Worker> workers;

int run_raw(const CudaRuntime& cuda, const Worker& worker, int sections) {
  int failed = 0;
  for (int i = 0; i < 2 * sections; ++i) {
    void* stream = nullptr;
    failed += cuda.current_stream(device, &stream) != 0;
    failed += cuda.event_record(worker.events[static_cast<size_t>(i)], stream) != 0;
  }
  return failed;
}

int run_core(const CudaRuntime&, const Worker&, int sections) {
  int failed = 0;
  for (int i = 0; i < sections; ++i) {
    OpenScope scope;
    recorder->begin(scope, site, nullptr);
    failed += scope.lane == nullptr;
    recorder->end(scope);
  }
  return failed;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// Makes ready for as many threads as there are streams, all of `on_device`. Returns what is
// missing, or null.
const char* core_threads_prepare(int on_device, void** streams, int threads, int sections) {
  if (!fasttime::bind_torch_runtime()) {
    return "no CUDA runtime could be bound";
  }
  void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
  set_current_stream = reinterpret_cast<decltype(set_current_stream)>(
      torch_cuda == nullptr ? nullptr : dlsym(torch_cuda, "torch_set_current_cuda_stream"));
  if (set_current_stream == nullptr) {
    return "torch_set_current_cuda_stream is not in this torch; it is from 2.10 on";
  }
  const CudaRuntime& cuda = fasttime::runtime();
  device = on_device;
  recorder = new Recorder;  // for good: no destructor may call CUDA at exit
  recorder->set_share_window(0);
  site = recorder->sites().child(fasttime::SiteTable::kRoot, recorder->sites().intern("name"));
  workers.resize(static_cast<size_t>(threads));
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].stream = streams[i];
    workers[i].events.resize(2 * static_cast<size_t>(sections));
    for (void*& event : workers[i].events) {
      if (cuda.event_create_with_flags(&event, 0) != 0) {
        return "cudaEventCreateWithFlags failed";
      }
    }
  }
  return nullptr;
}

// Lets `threads` threads do `sections` sections each at the same time, by the core or by raw C.
// Returns the mean time of a section on a thread, in ns; -1 where a call failed.
double core_threads_run(int by_core, int threads, int sections) {
  using Clock = std::chrono::steady_clock;
  const CudaRuntime& cuda = fasttime::runtime();
  std::atomic<int> waiting{0};
  std::atomic<int> failed{0};
  std::vector<double> elapsed_ns(static_cast<size_t>(threads));
  const auto body = [&](size_t index) {
    const Worker& worker = workers[index];
    const auto work = by_core != 0 ? run_core : run_raw;
    int errors = set_current_stream(worker.stream, device) != 0;
    errors += work(cuda, worker, 1);  // a thread's first call binds its context
    waiting.fetch_add(1);
    while (waiting.load() < threads) {
    }
    const auto begin = Clock::now();
    errors += work(cuda, worker, sections);
    elapsed_ns[index] = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    failed.fetch_add(errors);
  };
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back(body, static_cast<size_t>(i));
  }
  double total_ns = 0;
  for (size_t i = 0; i < running.size(); ++i) {
    running[i].join();
    total_ns += elapsed_ns[i];
  }
  return failed.load() != 0 ? -1 : total_ns / threads / sections;
}

// Reads all that is ready. Returns how many scopes are not.
int64_t core_threads_settle() {
  recorder->poll();
  return static_cast<int64_t>(recorder->counts().pending);
}
}
#pragma GCC visibility pop
