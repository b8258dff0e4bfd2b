// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "cuda/cuda_runtime.h"

namespace fasttime {

// Whether this process uses the device: whether its primary context exists. Starts nothing. A
// device that is not started runs nothing and captures nothing, and fasttime must not start it,
// because that takes half a gigabyte and a tenth of a second. True if the process has one device,
// or if the driver cannot tell.
bool is_started(const CudaRuntime& cuda, int device) noexcept;

// Whether the device's context is current on the calling thread, so that the driver takes a default
// stream for a stream of this device. Also false if this is unknown, as before keep_context(). The
// device number must be below kMaxDevices, as it is if device_at() knows the device.
inline bool has_current_context(const CudaRuntime& cuda, int device) noexcept;
// Looks up the device's context once. The device must be started.
void keep_context(const CudaRuntime& cuda, int device) noexcept;

// Forgets the contexts: they belong to the parent process, or to a simulation that has ended.
void forget_contexts() noexcept;

// Makes `device` current for its lifetime. Does nothing if the device is current already, and costs
// nothing if the process has one device or `device` is kNoDevice. Failures are noted.
//
// It uses the driver's stack of contexts. From CUDA 12 on, cudaSetDevice() starts the device that
// it is given. Restoring a thread's device with it could start device 0, which is current on each
// new thread.
class ScopedContext {
 public:
  static constexpr int kNoDevice = -1;

  ScopedContext(const CudaRuntime& cuda, int device) noexcept;
  ~ScopedContext();
  ScopedContext(const ScopedContext&) = delete;
  ScopedContext& operator=(const ScopedContext&) = delete;

  // False if the device could not be made current. The caller must then not use the device.
  bool holds() const noexcept { return holds_; }

 private:
  bool push(int device) noexcept;

  const CudaRuntime& cuda_;
  bool is_pushed_ = false;
  bool holds_ = true;
};

// --- inline definitions of hot functions ---

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
