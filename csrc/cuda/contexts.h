// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "cuda/cuda_runtime.h"

namespace fasttime {

// Whether anybody in this process uses the device: whether its context is there. Starts nothing.
// What is not started runs nothing and captures nothing, and we must not be who starts it: that
// takes half a gigabyte and a tenth of a second. True where the process has one device, or
// the driver does not tell.
bool is_started(const CudaRuntime& cuda, int device) noexcept;

// Whether the device's context is the calling thread's, so that the driver takes a default stream
// for this device's. False also where that is not known, as before keep_context().
inline bool has_current_context(const CudaRuntime& cuda, int device) noexcept;
// Learns which context that is. The device must be started.
void keep_context(const CudaRuntime& cuda, int device) noexcept;

// Forgets the contexts, for when they belong to another process, or to a simulation that has ended.
void forget_contexts() noexcept;

// Makes `device` current for its lifetime. Does nothing where it already is, and at no cost where
// the process has one device or `device` is kNoDevice. Failures are noted.
//
// By way of the driver's stack of contexts. cudaSetDevice(), from CUDA 12 on, starts the device
// that it is given, and to return to where a thread was could so start device 0, which is the
// current one of each new thread.
class ScopedContext {
 public:
  static constexpr int kNoDevice = -1;

  ScopedContext(const CudaRuntime& cuda, int device) noexcept;
  ~ScopedContext();
  ScopedContext(const ScopedContext&) = delete;
  ScopedContext& operator=(const ScopedContext&) = delete;

  // False where the device could not be made current: then nothing may be done in its name.
  bool holds() const noexcept { return holds_; }

 private:
  bool push(int device) noexcept;

  const CudaRuntime& cuda_;
  bool is_pushed_ = false;
  bool holds_ = true;
};

// --- what is above and hot is read in line ---

constexpr int kMaxDevices = 64;
extern std::array<std::atomic<void*>, kMaxDevices> known_contexts;
[[gnu::cold]] bool note_no_context(const CudaRuntime& cuda, int status) noexcept;

inline bool has_current_context(const CudaRuntime& cuda, int device) noexcept {
  void* known = known_contexts[static_cast<size_t>(device)].load(std::memory_order_relaxed);
  if (known == nullptr) {
    return false;
  }
  void* current = nullptr;
  if (const int status = cuda.context_get_current(&current)) {
    return note_no_context(cuda, status);
  }
  return current == known;
}

}  // namespace fasttime
