// SPDX-License-Identifier: BSD-3-Clause
// C++ threads that drive the core without Python, each on its own stream. The yardstick is raw C,
// which looks up torch's current stream and records an event on it, twice. core_threads.py compiles
// this file together with the core's sources and loads it after torch has started CUDA.

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
  std::vector<void*> events;  // two per scope
};

// torch_set_current_cuda_stream of torch's stable C shim. It returns 0 for success.
int32_t (*set_current_stream)(void* stream, int32_t device);
Recorder* recorder;
fasttime::SiteTable::Id site;
int32_t device;
std::vector<Worker> workers;

int run_raw(const CudaRuntime& cuda, const Worker& worker, int scopes) {
  int failed = 0;
  for (int i = 0; i < 2 * scopes; ++i) {
    void* stream = nullptr;
    failed += cuda.current_stream(device, &stream) != 0;
    failed += cuda.event_record(worker.events[static_cast<size_t>(i)], stream) != 0;
  }
  return failed;
}

int run_core(const CudaRuntime&, const Worker&, int scopes) {
  int failed = 0;
  for (int i = 0; i < scopes; ++i) {
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

// Prepares one thread per stream, all on `on_device`. Returns an error message, or null.
const char* core_threads_prepare(int on_device, void** streams, int threads, int scopes) {
  if (!fasttime::bind_torch_runtime()) {
    return "no CUDA runtime could be bound";
  }
  void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
  set_current_stream = reinterpret_cast<decltype(set_current_stream)>(
      torch_cuda == nullptr ? nullptr : dlsym(torch_cuda, "torch_set_current_cuda_stream"));
  if (set_current_stream == nullptr) {
    return "torch_set_current_cuda_stream is missing; it needs torch 2.10 or later";
  }
  const CudaRuntime& cuda = fasttime::runtime();
  device = on_device;
  recorder = new Recorder;  // never deleted: no destructor may call CUDA at exit
  recorder->set_share_window(0);
  site = recorder->sites().child(fasttime::SiteTable::kRoot, recorder->sites().intern("name"));
  workers.resize(static_cast<size_t>(threads));
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].stream = streams[i];
    workers[i].events.resize(2 * static_cast<size_t>(scopes));
    for (void*& event : workers[i].events) {
      if (cuda.event_create_with_flags(&event, 0) != 0) {
        return "cudaEventCreateWithFlags failed";
      }
    }
  }
  return nullptr;
}

// Runs `scopes` scopes on each of `threads` threads at the same time, by the core or by raw C.
// Returns the mean time of a scope on a thread, in ns, or -1 if a call failed.
double core_threads_run(int by_core, int threads, int scopes) {
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
    errors += work(cuda, worker, scopes);
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
  return failed.load() != 0 ? -1 : total_ns / threads / scopes;
}

// Reads the scopes that are ready. Returns how many are not.
int64_t core_threads_settle() {
  recorder->poll();
  return static_cast<int64_t>(recorder->counts().pending);
}
}
#pragma GCC visibility pop
