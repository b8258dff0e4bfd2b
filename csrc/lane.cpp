// SPDX-License-Identifier: BSD-3-Clause
#include "lane.h"

#include <mutex>

namespace fasttime {

Lane::Lane(Place where, EventPool& pool)
    : place(where), pool_(pool), ring_(new Pending[kMaxScopes]) {}

[[gnu::hot]] bool Lane::book() noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (booked_ == kMaxScopes) {
    return false;
  }
  ++booked_;
  return true;
}

void Lane::cancel() noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  --booked_;
}

[[gnu::hot]] Event* Lane::take(const CudaRuntime& cuda, int& status) noexcept {
  status = cuda::kSuccess;
  EventQueue fresh;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt == 1) {
      fresh = pool_.take(cuda, place.device, kRefill, status);
    }
    const std::lock_guard<SpinLock> hold(lock_);
    while (Event* event = fresh.pop()) {
      free_.push(event);
    }
    if (Event* event = free_.pop()) {
      event->references = 1;
      return event;
    }
  }
  return nullptr;
}

[[gnu::hot]] bool Lane::borrow(Event* event, uint32_t serial) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (event->serial.load(std::memory_order_relaxed) != serial || event->references == 0) {
    return false;
  }
  ++event->references;
  return true;
}

void Lane::retain(Event* event) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  ++event->references;
}

[[gnu::hot]] void Lane::set_free(Event* event) noexcept {
  event->serial.fetch_add(1, std::memory_order_relaxed);
  free_.push(event);
}

void Lane::release(Event* event) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (--event->references == 0) {
    set_free(event);
  }
}

[[gnu::hot]] uint64_t Lane::push(const Pending& pending) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  const uint64_t index = pushed_.load(std::memory_order_relaxed);
  ring_[index % kMaxScopes] = pending;
  pushed_.store(index + 1, std::memory_order_release);
  return index + 1;
}

[[gnu::hot]] const Pending* Lane::oldest() const noexcept {
  const uint64_t index = popped_.load(std::memory_order_relaxed);
  if (index == pushed_.load(std::memory_order_acquire)) {
    return nullptr;
  }
  return &ring_[index % kMaxScopes];
}

void Lane::drop_references(const Pending& pending, EventQueue& orphans) noexcept {
  for (Event* event : {pending.begin, pending.end}) {
    if (event != nullptr && --event->references == 0) {
      event->serial.fetch_add(1, std::memory_order_relaxed);  // before another lane can have it
      orphans.push(event);
    }
  }
}

[[gnu::hot]] void Lane::pop(bool events_are_done) noexcept {
  const uint64_t index = popped_.load(std::memory_order_relaxed);
  const Pending& pending = ring_[index % kMaxScopes];
  EventQueue orphans;
  EventQueue surplus;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    drop_references(pending, orphans);
    while (events_are_done && orphans.size() > 0) {
      set_free(orphans.pop());
    }
    --booked_;
    popped_.store(index + 1, std::memory_order_release);
    if (free_.size() > kMaxAtHand) {
      // A burst leaves events here that other lanes of the device may want.
      while (surplus.size() < kRefill) {
        surplus.push(free_.pop());
      }
    }
  }
  while (Event* event = orphans.pop()) {
    pool_.park(event);
  }
  if (surplus.size() > 0) {
    pool_.give_back(surplus);
  }
}

void Lane::give_back_spare() noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  pool_.give_back(free_);
}

size_t Lane::booked() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return booked_;
}

void Lane::dissolve() noexcept {
  EventQueue orphans;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    pool_.give_back(free_);
    for (uint64_t i = popped_.load(); i != pushed_.load(); ++i) {
      drop_references(ring_[i % kMaxScopes], orphans);
    }
    popped_.store(pushed_.load());
  }
  while (Event* event = orphans.pop()) {
    pool_.park(event);
  }
}

}  // namespace fasttime
