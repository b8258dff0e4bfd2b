// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/event_pool.h"

#include <array>
#include <mutex>
#include <new>

#include "cuda/contexts.h"

namespace fasttime {

void EventPool::prefill(const CudaRuntime& cuda) noexcept {
  if (created() == 0) {
    int status = 0;
    grow(cuda, status);
  }
}

// Creates events outside the lock, which must never be held across a driver call.
bool EventPool::grow(const CudaRuntime& cuda, int& status) noexcept {
  {
    const std::lock_guard<SpinLock> hold(lock_);
    if (created_ + kBatch > kMaxEvents) {
      return false;
    }
    created_ += kBatch;
  }
  std::array<void*, kBatch> handles;
  size_t made = 0;
  while (made < kBatch) {
    status = cuda.event_create_with_flags(&handles[made], 0);
    if (status != cuda::kSuccess) {
      note_runtime_failure(cuda, "cudaEventCreateWithFlags", status);
      break;
    }
    ++made;
  }
  // One array: events that are used one after another then lie side by side in memory. It is never
  // freed, so it only holds as many events as CUDA created.
  auto* batch = made == 0 ? nullptr : new (std::nothrow) Event[made];
  made = batch == nullptr ? 0 : made;
  const std::lock_guard<SpinLock> hold(lock_);
  created_ -= kBatch - made;
  for (size_t i = 0; i < made; ++i) {
    batch[i].handle = handles[i];
    free_.push(&batch[i]);
  }
  return made > 0;
}

// Frees the parked events that the device has passed. Comparing an event with itself tells whether
// it is done. cudaEventQuery would tell too, but could destroy a capture of another thread.
void EventPool::collect_parked(const CudaRuntime& cuda) noexcept {
  EventQueue parked;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    std::swap(parked, parked_);
  }
  EventQueue done;
  EventQueue waiting;
  while (Event* event = parked.pop()) {
    float elapsed_ms = 0;
    const int status = elapsed_time(cuda, &elapsed_ms, event->handle, event->handle);
    // An event that became part of a capture never gets a time.
    const bool is_done = status == cuda::kSuccess || is_captured_event(status);
    if (!is_done && status != cuda::kNotReady) {
      note_failure(cuda, "cudaEventElapsedTime", status);
    }
    (is_done ? done : waiting).push(event);
  }
  put_back(done);
  const std::lock_guard<SpinLock> hold(lock_);
  while (Event* event = waiting.pop()) {
    parked_.push(event);
  }
}

EventQueue EventPool::take(const CudaRuntime& cuda, int device, size_t count,
                           int& status) noexcept {
  status = cuda::kSuccess;
  EventQueue taken;
  for (int attempt = 0; attempt < 3 && taken.size() == 0; ++attempt) {
    if (attempt > 0) {
      const ScopedContext guard(cuda, device);
      if (!guard.holds()) {
        status = cuda::kInvalidContext;
        break;
      }
      if (attempt == 1) {
        collect_parked(cuda);
      } else if (!grow(cuda, status)) {
        break;
      }
    }
    const std::lock_guard<SpinLock> hold(lock_);
    while (taken.size() < count && free_.size() > 0) {
      taken.push(free_.pop());
    }
  }
  return taken;
}

void EventPool::put_back(EventQueue& events) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  while (Event* event = events.pop()) {
    event->references = 0;
    event->change_serial();
    free_.push(event);
  }
}

void EventPool::park(Event* event) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  parked_.push(event);
}

size_t EventPool::created() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return created_;
}

size_t EventPool::in_pool() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return free_.size() + parked_.size();
}

}  // namespace fasttime
