// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "cuda_runtime.h"

namespace fasttime {

// Whether anybody in this process uses the device: whether its context is there. Starts nothing.
// What is not started runs nothing and captures nothing, and we must not be who starts it: that
// takes half a gigabyte and a tenth of a second. True where the process has one device, or
// the driver does not tell.
bool is_started(const CudaRuntime& cuda, int device) noexcept;

// Forgets the contexts, for when they belong to another process, or to a simulation that has ended.
void forget_contexts() noexcept;

// Makes `device` current for its lifetime. Does nothing where it already is, and at no cost where
// the process has one device or `device` is kNoDevice. Failures are noted.
//
// By way of the driver's stack of contexts. cudaSetDevice(), from CUDA 12 on, starts the device
// that it is given, and to return to where a thread was could so start device 0, which is the
// current one of each new thread.
class DeviceGuard {
 public:
  static constexpr int kNoDevice = -1;

  DeviceGuard(const CudaRuntime& cuda, int device) noexcept;
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  // False where the device could not be made current: then nothing may be done in its name.
  bool holds() const noexcept { return holds_; }

 private:
  bool push(int device) noexcept;

  const CudaRuntime& cuda_;
  bool is_pushed_ = false;
  bool holds_ = true;
};

}  // namespace fasttime
