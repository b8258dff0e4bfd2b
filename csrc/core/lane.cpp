// SPDX-License-Identifier: BSD-3-Clause
#include "core/lane.h"

namespace fasttime {

Lane::Lane(Place where, EventPool& pool)
    : place(where), ring_(new Pending[kMaxScopes]), pool_(pool) {}

bool Lane::refill(const CudaRuntime& cuda, int& status) noexcept {
  const bool are_few = pool_.created() > EventPool::kMaxEvents / 2;
  EventQueue fresh = pool_.take(cuda, place.device, are_few ? kRefillOfFew : kRefill, status);
  const bool found = fresh.size() > 0;
  const std::lock_guard<SpinLock> hold(lock_);
  while (Event* event = fresh.pop()) {
    free_.push(event);
  }
  return found;
}

bool Lane::book(Event* begin) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (booked_ == kMaxScopes) {
    return false;
  }
  ++booked_;
  ++begin->references;
  return true;
}

void Lane::release(Event* event, bool unbook) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (--event->references == 0) {
    set_free(event);
  }
  booked_ -= unbook ? 1 : 0;
}

void Lane::give_up(Event* begin) noexcept {
  bool is_orphan = false;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    is_orphan = --begin->references == 0;
    if (is_orphan) {
      begin->move_on();
    }
    --booked_;
  }
  if (is_orphan) {
    pool_.park(begin);
  }
}

[[gnu::hot]] uint64_t Lane::push_and_book(const Pending& pending, bool& booked) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  booked = booked_ < kMaxScopes;
  if (booked) {
    ++booked_;
    ++pending.end->references;
  }
  return push_locked(pending);
}

void Lane::drop_references(const Pending& pending, EventQueue& orphans) noexcept {
  for (Event* event : {pending.begin, pending.end}) {
    if (event != nullptr && --event->references == 0) {
      event->move_on();  // before another lane can have it
      orphans.push(event);
    }
  }
}

[[gnu::hot]] void Lane::pop(size_t count, bool events_are_done) noexcept {
  if (count == 0) {
    return;
  }
  const uint64_t first = popped_.load(std::memory_order_relaxed);
  EventQueue orphans;
  EventQueue surplus;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    EventQueue& released = events_are_done ? free_ : orphans;
    for (uint64_t i = first; i != first + count; ++i) {
      drop_references(ring_[i % kMaxScopes], released);
    }
    booked_ -= static_cast<uint32_t>(count);
    popped_.store(first + count, std::memory_order_release);
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
