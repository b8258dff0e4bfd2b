// SPDX-License-Identifier: BSD-3-Clause
#include "core/forks.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "core/recorder.h"
#include "cuda/cuda_runtime.h"
#include "cuda/devices.h"
#include "cuda/waits.h"
#include "host/process_number.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fasttime {
namespace {

// Never destroyed: a daemon thread may still record while static destructors run.
struct Registry {
  std::mutex mutex;  // guards recorders; taken before any other mutex
  std::vector<Recorder*> recorders;
};
Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

void before_fork() noexcept {
  registry().mutex.lock();
  for (Recorder* recorder : registry().recorders) {
    recorder->lock_for_fork();
  }
  runtime_mutex().lock();
}

void after_fork() noexcept {
  runtime_mutex().unlock();
  for (Recorder* recorder : registry().recorders) {
    recorder->unlock_after_fork();
  }
  registry().mutex.unlock();
}

void forget_everything() noexcept {
  renew_process_number();
  forget_devices();
  Recorder::forget_thread();
  for (Recorder* recorder : registry().recorders) {
    recorder->forget();
  }
}

void after_fork_in_child() noexcept {
  after_fork();
  if (runtime().has_cuda) {
    retire_after_fork();
  }
  forget_everything();
}

}  // namespace

void register_recorder(Recorder* recorder) {
#if defined(__unix__) || defined(__APPLE__)
  static const int registered = pthread_atfork(&before_fork, &after_fork, &after_fork_in_child);
  (void)registered;
#endif
  const std::lock_guard<std::mutex> hold(registry().mutex);
  registry().recorders.push_back(recorder);
}

void unregister_recorder(Recorder* recorder) noexcept {
  const std::lock_guard<std::mutex> hold(registry().mutex);
  auto& all = registry().recorders;
  all.erase(std::remove(all.begin(), all.end(), recorder), all.end());
}

void restart_recorders() noexcept {
  forget_streams();
  const std::lock_guard<std::mutex> hold(registry().mutex);
  forget_everything();
}

}  // namespace fasttime
