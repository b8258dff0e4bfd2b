// SPDX-License-Identifier: BSD-3-Clause
#include "host/thread_number.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <pthread.h>
#else
#include <functional>
#include <thread>
#endif

namespace fasttime {

uint64_t thread_number() noexcept {
#if defined(__linux__)
  return static_cast<uint64_t>(syscall(SYS_gettid));
#elif defined(__APPLE__)
  uint64_t number = 0;
  pthread_threadid_np(nullptr, &number);
  return number;
#else
  return std::hash<std::thread::id>{}(std::this_thread::get_id()) | 1;
#endif
}

}  // namespace fasttime
