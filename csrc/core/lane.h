// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/nesting.h"
#include "core/sample.h"
#include "cuda/event_pool.h"
#include "cuda/torch_streams.h"
#include "host/spin_lock.h"

namespace fasttime {

// A scope that has ended, and whose events the device may not have reached yet.
struct alignas(64) Pending {
  Event* begin = nullptr;
  Event* end = nullptr;  // null: there is no device end, and only `begin` has to be reached
  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;
  uint64_t thread = 0;  // thread_number() of the thread that began the scope
  uint32_t site = 0;
  uint32_t epoch = 0;
  Status status = Status::kOk;
  bool shares_boundary = false;
  Nesting nesting;
};
static_assert(sizeof(Pending) == 64, "one cache line");

// One (device, stream) pair: its pending scopes, oldest first, and a few spare events.
//
// Any thread may begin and end scopes here. These calls share a spin lock that is held for a few
// pointer swaps, and never wait for the device. One thread at a time may read: it asks with
// try_start_reading(), and a thread that is refused continues without reading. Threads may push in
// a different order than they recorded; "not ready" then only means "later".
//
// How a scope and its events leave the lane (event_pool.h has the verbs for events alone):
//   push, pop  the scope ends, then the reader removes it. Its events are released, or parked if
//              the device may not have passed them.
//   release    an event that was taken but not recorded is free again.
//
// Bounded: at most kMaxScopes scopes are open or pending, twice as many as a launch queue of some
// 1,020 entries can hold. So the bound is only reached if no thread reads, or if scopes are never
// ended. The newest scope is then dropped before it records anything.
class alignas(64) Lane {
 public:
  static constexpr size_t kMaxScopes = 2048;
  // The most that one pop() removes: it holds the lock that begin() and end() need.
  static constexpr size_t kMaxPop = 16;

  Lane(Place place, EventPool& pool);

  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  const Place place;

  // --- scopes ---

  // Takes a spare event, with one reference. With `book` it also books room for one scope. Returns
  // null, with nothing changed, if there is no spare event or no room.
  Event* take(bool book) noexcept {
    const std::lock_guard<SpinLock> hold(lock_);
    if (book && booked_ == kMaxScopes) {
      return nullptr;
    }
    Event* event = spare_.pop();
    if (event != nullptr) {
      event->references = 1;
      booked_ += book ? 1 : 0;
    }
    return event;
  }

  // Adds a reference to an event that is still in use here; `book` as above. Returns false, with
  // nothing changed, if the event has become free since `serial` or there is no room.
  bool borrow(Event* event, uint32_t serial, bool book) noexcept {
    const std::lock_guard<SpinLock> hold(lock_);
    if (event->serial.load(std::memory_order_relaxed) != serial || event->references == 0 ||
        (book && booked_ == kMaxScopes)) {
      return false;
    }
    ++event->references;
    booked_ += book ? 1 : 0;
    return true;
  }

  // Gets spare events from the pool, which may create them. Returns false if it got none; `status`
  // as in EventPool::take. Takes fewer at a time once the pool has created half of its maximum:
  // other lanes, including lanes of other recorders, cannot use the spare events of this one.
  bool refill(const CudaRuntime& cuda, int& status) noexcept;
  // Returns the spare events to the pool, for lanes that have none.
  void return_spare_to_pool() noexcept;

  // Drops one reference to an event that was not recorded, or whose device is lost. With `unbook`
  // it also frees the room of one scope.
  void release(Event* event, bool unbook) noexcept;

  // Adds a booked scope to the pending ones. Returns how many scopes have been pushed so far.
  uint64_t push(const Pending& pending) noexcept {
    const std::lock_guard<SpinLock> hold(lock_);
    return push_locked(pending);
  }
  // The same, and books room for a scope that begins where this one ends. `booked` tells whether
  // there was room.
  uint64_t push_and_book(const Pending& pending, bool& booked) noexcept;

  // --- scopes over several lanes, which are never pushed here (stream_groups.h) ---

  // Frees the room that such a scope booked with its event. The scope has room elsewhere.
  void unbook() noexcept {
    const std::lock_guard<SpinLock> hold(lock_);
    --booked_;
  }
  // Drops its references to its events; `end` may be null. Parks events that the device may not
  // have passed.
  void discard(Event* begin, Event* end, bool events_are_done) noexcept;

  // --- the reader ---

  bool try_start_reading() noexcept { return reading_.try_lock(); }
  void stop_reading() noexcept { reading_.unlock(); }
  // The pending scope after `skipped` older ones, or null. Valid until pop().
  const Pending* oldest(size_t skipped = 0) const noexcept {
    const uint64_t index = popped_.load(std::memory_order_relaxed) + skipped;
    return index == pushed_.load(std::memory_order_acquire) ? nullptr : &ring_[index % kMaxScopes];
  }
  // Removes the `count` oldest scopes, at most kMaxPop. Their events are released; with
  // `events_are_done` false, events without references are parked in the pool.
  void pop(size_t count = 1, bool events_are_done = true) noexcept;

  // How many scopes were ever pushed, were ever popped, are pending, and are open or pending.
  uint64_t pushed() const noexcept { return pushed_.load(std::memory_order_acquire); }
  uint64_t popped() const noexcept { return popped_.load(std::memory_order_acquire); }
  size_t unread() const noexcept {
    // In this order. If popped() came second, both could advance in between, and the difference
    // could be negative.
    const uint64_t popped_before = popped();
    return static_cast<size_t>(pushed() - popped_before);
  }
  size_t booked() const noexcept;

  // Returns every event to the pool; parks those that the device may not have passed. The lane must
  // not be used afterwards.
  void return_all_to_pool() noexcept;

 private:
  // Enough that an event usually rests between two records for longer than the device lags.
  static constexpr size_t kRefill = EventPool::kBatch;
  static constexpr size_t kMaxSpare = 2 * kRefill;
  static constexpr size_t kRefillOfFew = 16;

  uint64_t push_locked(const Pending& pending) noexcept {
    const uint64_t index = pushed_.load(std::memory_order_relaxed);
    ring_[index % kMaxScopes] = pending;
    pushed_.store(index + 1, std::memory_order_release);
    return index + 1;
  }
  // Drops a scope's references to its events. Moves events without references to `freed`.
  void release_events(const Pending& pending, EventQueue& freed) noexcept;

  // Everything that a begin or an end writes lies in the first cache line, with `place`. What they
  // read of the reader's data is in the second.
  mutable SpinLock lock_;  // guards spare_, booked_, references of events, and pushing
  uint32_t booked_ = 0;
  EventQueue spare_;
  const std::unique_ptr<Pending[]> ring_;
  // The release of each counter pairs with the acquire of the other side: a slot is written before
  // it counts as pushed, and read before it counts as popped.
  std::atomic<uint64_t> pushed_{0};

 public:
  // What the reader last learnt, on the host's clock: when it read, when it checked the backlog,
  // and up to which moment the device has done everything that was issued to this stream.
  alignas(64) std::atomic<int64_t> last_poll_ns{0};
  std::atomic<int64_t> last_check_ns{0};
  std::atomic<int64_t> caught_up_ns{0};

 private:
  std::atomic<uint64_t> popped_{0};
  SpinLock reading_;  // the right to read; only ever tried
  EventPool& pool_;
};

}  // namespace fasttime
