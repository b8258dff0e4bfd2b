// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/contexts.h"

namespace fasttime {
namespace {

// A failure would leave the user's thread with another device, so it is worth another try.
constexpr int kTriesToRestore = 4;

bool has_contexts(const CudaRuntime& cuda) noexcept {
  return cuda.primary_context_get_state != nullptr && cuda.primary_context_retain != nullptr &&
         cuda.context_push_current != nullptr && cuda.context_pop_current != nullptr &&
         cuda.context_get_current != nullptr;
}

// The device's primary context, which the runtime uses too. Retained once and never released, so it
// lives as long as the process. On failure: notes it and returns null. A stream object may name a
// device that does not exist.
void* context_of(const CudaRuntime& cuda, int device) noexcept {
  if (device < 0 || device >= kMaxDevices) {
    note_failure("a stream names a device outside cuda:0 to cuda:63, so fasttime cannot use it");
    return nullptr;
  }
  auto& slot = known_contexts[static_cast<size_t>(device)];
  void* context = slot.load(std::memory_order_relaxed);
  if (context == nullptr) {
    if (const int status = cuda.primary_context_retain(&context, device)) {
      note_failure(cuda, "cuDevicePrimaryCtxRetain", status);
      return nullptr;
    }
    slot.store(context, std::memory_order_relaxed);
  }
  return context;
}

}  // namespace

std::array<std::atomic<void*>, kMaxDevices> known_contexts{};

void keep_context(const CudaRuntime& cuda, int device) noexcept {
  if (cuda.device_count != 1 && has_contexts(cuda)) {
    context_of(cuda, device);
  }
}

bool note_no_context(const CudaRuntime& cuda, int status) noexcept {
  note_failure(cuda, "cuCtxGetCurrent", status);
  return false;
}

bool is_started(const CudaRuntime& cuda, int device) noexcept {
  if (cuda.device_count == 1 || !has_contexts(cuda)) {
    return true;
  }
  unsigned flags = 0;
  int is_active = 0;
  if (const int status = cuda.primary_context_get_state(device, &flags, &is_active)) {
    note_failure(cuda, "cuDevicePrimaryCtxGetState", status);
    return true;  // the next call will fail if it is not
  }
  return is_active != 0;
}

void forget_contexts() noexcept {
  for (auto& slot : known_contexts) {
    slot.store(nullptr, std::memory_order_relaxed);
  }
}

ScopedContext::ScopedContext(const CudaRuntime& cuda, int device) noexcept : cuda_(cuda) {
  if (device == kNoDevice || cuda_.device_count == 1) {
    return;
  }
  int current = kNoDevice;
  if (const int status = cuda_.get_device(&current)) {
    note_runtime_failure(cuda_, "cudaGetDevice", status);
    holds_ = false;
  } else if (current != device) {
    is_pushed_ = push(device);
    holds_ = is_pushed_;
  }
}

bool ScopedContext::push(int device) noexcept {
  if (!has_contexts(cuda_)) {
    note_failure(
        "the CUDA driver has no cuCtxPushCurrent_v2, so scopes on other devices than the current "
        "one "
        "cannot be timed; update the driver");
    return false;
  }
  if (!is_started(cuda_, device)) {
    return false;
  }
  void* context = context_of(cuda_, device);
  const int status = context == nullptr ? cuda::kSuccess : cuda_.context_push_current(context);
  if (status != cuda::kSuccess) {
    note_failure(cuda_, "cuCtxPushCurrent_v2", status);
  }
  return context != nullptr && status == cuda::kSuccess;
}

ScopedContext::~ScopedContext() {
  for (int i = 0; i < kTriesToRestore && is_pushed_; ++i) {
    void* popped = nullptr;
    const int status = cuda_.context_pop_current(&popped);
    is_pushed_ = status != cuda::kSuccess;
    if (is_pushed_) {
      note_failure(cuda_, "cuCtxPopCurrent_v2", status);
    }
  }
}

}  // namespace fasttime
