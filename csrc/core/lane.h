// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/sample.h"
#include "cuda/event_pool.h"
#include "cuda/torch_streams.h"
#include "host/spin_lock.h"

namespace fasttime {

// A scope that has ended and whose events the device may not have reached yet.
struct alignas(64) Pending {
  Event* begin = nullptr;
  Event* end = nullptr;  // null: the scope has no device end; only `begin` is waited for
  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;
  uint64_t thread = 0;  // that began it, as thread_number() has it
  uint32_t site = 0;
  uint32_t epoch = 0;
  Status status = Status::kOk;
  bool shares_boundary = false;
};

// One (device, stream) pair with its pending scopes, oldest first, and a few free events at hand.
//
// Any thread may open, borrow, push; they share a lock held for pointer swaps. One thread at a time
// reads: it asks with try_start_reading(), and whoever is refused goes on, since somebody else is
// at it. Threads may push in another order than they recorded; "not ready" just means "later".
//
// Bounded: at most kMaxScopes are open or pending. That is twice what a launch queue of some 1,020
// entries can hold, so it is reached where nobody reads, or where scopes are opened and never
// ended. The newest is given up then, before it has recorded anything.
class alignas(64) Lane {
 public:
  static constexpr size_t kMaxScopes = 2048;
  // The most that one pop() takes: it is done under the lock that begin() and end() need.
  static constexpr size_t kMaxPop = 16;

  Lane(Place place, EventPool& pool);

  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  const Place place;

  // --- scopes ---

  // A free event from those at hand, counted as one reference; with `book`, room for one scope is
  // booked in the same step. Null, with nothing done, where there is no event or no room.
  Event* take(bool book) noexcept {
    const std::lock_guard<SpinLock> hold(lock_);
    if (book && booked_ == kMaxScopes) {
      return nullptr;
    }
    Event* event = free_.pop();
    if (event != nullptr) {
      event->references = 1;
      booked_ += book ? 1 : 0;
    }
    return event;
  }

  // Adds a reference to an event still in use here, with `book` as above. False, with nothing done,
  // if the event has gone back since `serial` or there is no room.
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

  // Gets free events from the pool, which may create them; false if there are none to be had.
  // Waits for nothing. `status` as EventPool::take has it. Fewer at a time once the pool has made
  // half of what it may: what is at hand here is nobody else's, in other recorders neither.
  bool refill(const CudaRuntime& cuda, int& status) noexcept;
  // Gives the free events at hand back to the pool, for lanes that have none.
  void give_back_spare() noexcept;

  // Books room for a scope that begins at an event which the caller holds a reference to, and adds
  // one. False, with nothing done, when the lane is full.
  bool book(Event* begin) noexcept;
  // Takes one reference off an event that holds no unread time; with `unbook`, gives up the room of
  // one scope too.
  void release(Event* event, bool unbook) noexcept;
  // The same for the begin of a booked scope, which was recorded: where nobody else refers to it,
  // it rests in the pool until the device is seen to have passed it.
  void give_up(Event* begin) noexcept;

  // Hands over a booked scope. Returns how many scopes have been pushed so far.
  uint64_t push(const Pending& pending) noexcept {
    const std::lock_guard<SpinLock> hold(lock_);
    return push_locked(pending);
  }
  // The same, and books room for another scope that begins where this one ends, in one step.
  // `booked` says whether there was room.
  uint64_t push_and_book(const Pending& pending, bool& booked) noexcept;

  // --- the reader ---

  bool try_start_reading() noexcept { return reading_.try_lock(); }
  void stop_reading() noexcept { reading_.unlock(); }
  // The pending scope after `skipped` older ones, or null. Stays valid until pop().
  const Pending* oldest(size_t skipped = 0) const noexcept {
    const uint64_t index = popped_.load(std::memory_order_relaxed) + skipped;
    return index == pushed_.load(std::memory_order_acquire) ? nullptr : &ring_[index % kMaxScopes];
  }
  // Removes the `count` oldest, at most kMaxPop; their events lose one reference for each, and
  // those with none left are free. Where it is not certain that the device is done with them, they
  // are parked in the pool instead.
  void pop(size_t count = 1, bool events_are_done = true) noexcept;

  // Counts: pushed ever, popped ever, open or pending now.
  uint64_t pushed() const noexcept { return pushed_.load(std::memory_order_acquire); }
  uint64_t popped() const noexcept { return popped_.load(std::memory_order_acquire); }
  size_t unread() const noexcept {
    // In this order: the other way round both may move on in between, to less than nothing.
    const uint64_t popped_before = popped();
    return static_cast<size_t>(pushed() - popped_before);
  }
  size_t booked() const noexcept;

  // Gives every event back to the pool, parking those that the device has not reached. The lane
  // must not be used afterwards.
  void dissolve() noexcept;

 private:
  // So many that an event rests between two records for longer than the device lags as a rule.
  static constexpr size_t kRefill = EventPool::kBatch;
  static constexpr size_t kMaxAtHand = 2 * kRefill;
  static constexpr size_t kRefillOfFew = 16;

  uint64_t push_locked(const Pending& pending) noexcept {
    const uint64_t index = pushed_.load(std::memory_order_relaxed);
    ring_[index % kMaxScopes] = pending;
    pushed_.store(index + 1, std::memory_order_release);
    return index + 1;
  }
  void set_free(Event* event) noexcept {
    event->move_on();
    free_.push(event);
  }
  // Takes the references of a scope off its events; those left with none are moved to `orphans`.
  void drop_references(const Pending& pending, EventQueue& orphans) noexcept;

  // All that a begin or an end writes lies in the first cache line, with `place`; what it looks up
  // of the reader's is in the second.
  mutable SpinLock lock_;  // guards free_, booked_, references of events, and pushing
  uint32_t booked_ = 0;
  EventQueue free_;
  const std::unique_ptr<Pending[]> ring_;
  // The release on each pairs with the acquire of the other side: a slot is written before it is
  // counted as pushed, and read before it is counted as popped.
  std::atomic<uint64_t> pushed_{0};

 public:
  // What the reader last learnt, on the host's clock: when it looked, when it last compared the
  // clocks, and the moment up to which the device is known to have done what was issued here.
  alignas(64) std::atomic<int64_t> last_poll_ns{0};
  std::atomic<int64_t> last_look_ns{0};
  std::atomic<int64_t> caught_up_ns{0};

 private:
  std::atomic<uint64_t> popped_{0};
  SpinLock reading_;  // the reader's right; only ever tried
  EventPool& pool_;
};

}  // namespace fasttime
