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
    spare_.push(event);
  }
  return found;
}

void Lane::return_spare_to_pool() noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  pool_.put_back(spare_);
}

void Lane::release(Event* event, bool unbook) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (--event->references == 0) {
    event->change_serial();
    spare_.push(event);
  }
  booked_ -= unbook ? 1 : 0;
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

void Lane::discard(Event* begin, Event* end, bool events_are_done) noexcept {
  EventQueue freed;
  Pending scope;
  scope.begin = begin;
  scope.end = end;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    release_events(scope, freed);
  }
  if (events_are_done) {
    pool_.put_back(freed);
    return;
  }
  while (Event* event = freed.pop()) {
    pool_.park(event);
  }
}

void Lane::release_events(const Pending& pending, EventQueue& freed) noexcept {
  for (Event* event : {pending.begin, pending.end}) {
    if (event != nullptr && --event->references == 0) {
      event->change_serial();  // before another lane can take it
      freed.push(event);
    }
  }
}

[[gnu::hot]] void Lane::pop(size_t count, bool events_are_done) noexcept {
  if (count == 0) {
    return;
  }
  const uint64_t first = popped_.load(std::memory_order_relaxed);
  EventQueue to_park;
  EventQueue surplus;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    EventQueue& freed = events_are_done ? spare_ : to_park;
    for (uint64_t i = first; i != first + count; ++i) {
      release_events(ring_[i % kMaxScopes], freed);
    }
    booked_ -= static_cast<uint32_t>(count);
    popped_.store(first + count, std::memory_order_release);
    if (spare_.size() > kMaxSpare) {
      // A burst has left events here that other lanes of the device may need.
      while (surplus.size() < kRefill) {
        surplus.push(spare_.pop());
      }
    }
  }
  while (Event* event = to_park.pop()) {
    pool_.park(event);
  }
  if (surplus.size() > 0) {
    pool_.put_back(surplus);
  }
}

size_t Lane::booked() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return booked_;
}

void Lane::return_all_to_pool() noexcept {
  EventQueue to_park;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    pool_.put_back(spare_);
    for (uint64_t i = popped_.load(); i != pushed_.load(); ++i) {
      release_events(ring_[i % kMaxScopes], to_park);
    }
    popped_.store(pushed_.load());
  }
  while (Event* event = to_park.pop()) {
    pool_.park(event);
  }
}

}  // namespace fasttime
