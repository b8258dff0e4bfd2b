// SPDX-License-Identifier: BSD-3-Clause
#include "event_pool.h"

#include <algorithm>
#include <mutex>
#include <new>

namespace fasttime {

void EventPool::prefill(const CudaRuntime& cuda) noexcept {
  if (created() == 0) {
    int status = 0;
    grow(cuda, status);
  }
}

// Events are made outside the lock, which must never be held across a driver call.
size_t EventPool::grow(const CudaRuntime& cuda, int& status) noexcept {
  {
    const std::lock_guard<SpinLock> hold(lock_);
    if (created_ + kBatch > kMaxEvents) {
      return 0;
    }
    created_ += kBatch;
  }
  Event* batch[kBatch];
  size_t made = 0;
  while (made < kBatch) {
    void* handle = nullptr;
    status = cuda.event_create_with_flags(&handle, 0);
    if (status != cuda::kSuccess) {
      clear_own_error(cuda, status);
      break;
    }
    Event* event = new (std::nothrow) Event;
    if (event == nullptr) {
      break;
    }
    event->handle = handle;
    batch[made++] = event;
  }
  const std::lock_guard<SpinLock> hold(lock_);
  created_ -= kBatch - made;
  try {
    // Room for every event of the pool, so that giving back never allocates.
    free_.reserve(std::max(free_.capacity(), created_));
    parked_.reserve(std::max(parked_.capacity(), created_));
  } catch (const std::bad_alloc&) {
    created_ -= made;
    return 0;
  }
  free_.insert(free_.end(), batch, batch + made);
  return made;
}

// What was parked and is done by now is free again. An event compared with itself answers whether
// it is done, without a query, which could destroy somebody's capture.
void EventPool::collect_parked(const CudaRuntime& cuda) noexcept {
  std::vector<Event*> waiting;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    waiting.swap(parked_);
  }
  if (waiting.empty()) {
    return;
  }
  const auto first_done = std::partition(waiting.begin(), waiting.end(), [&](Event* event) {
    float elapsed_ms = 0;
    const int status = cuda.event_elapsed_time(&elapsed_ms, event->handle, event->handle);
    clear_own_error(cuda, status);
    return status == cuda::kNotReady;
  });
  const auto still_waiting = static_cast<size_t>(first_done - waiting.begin());
  give_back(waiting.data() + still_waiting, waiting.size() - still_waiting);
  waiting.resize(still_waiting);
  const std::lock_guard<SpinLock> hold(lock_);
  waiting.insert(waiting.end(), parked_.begin(), parked_.end());
  parked_.swap(waiting);
  parked_.reserve(created_);
}

size_t EventPool::take(const CudaRuntime& cuda, int device, Event** out, size_t count,
                       int& status) noexcept {
  status = cuda::kSuccess;
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (attempt == 1) {
      collect_parked(cuda);
    } else if (attempt == 2) {
      const DeviceGuard guard(cuda, device);
      if (grow(cuda, status) == 0) {
        return 0;
      }
    }
    const std::lock_guard<SpinLock> hold(lock_);
    const size_t taken = std::min(count, free_.size());
    if (taken > 0) {
      std::copy(free_.end() - static_cast<std::ptrdiff_t>(taken), free_.end(), out);
      free_.resize(free_.size() - taken);
      return taken;
    }
  }
  return 0;
}

void EventPool::give_back(Event* const* events, size_t count) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  for (size_t i = 0; i < count; ++i) {
    events[i]->serial.fetch_add(1, std::memory_order_relaxed);
    events[i]->references = 0;
    free_.push_back(events[i]);
  }
}

void EventPool::park(Event* event) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  parked_.push_back(event);
}

size_t EventPool::created() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return created_;
}

size_t EventPool::free_count() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return free_.size();
}

}  // namespace fasttime
