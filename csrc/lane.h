// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "event_pool.h"
#include "sample.h"
#include "spin_lock.h"
#include "torch_streams.h"

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
class Lane {
 public:
  static constexpr size_t kMaxScopes = 2048;

  Lane(Place place, EventPool& pool);

  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  const Place place;

  // --- scopes ---

  // Books room for one scope. False when the lane is full. Undone by pop() or cancel().
  bool book() noexcept;
  void cancel() noexcept;

  // A free event, counted as one reference; null if there is none to be had. Waits for nothing;
  // may create events. `status` as EventPool::take has it.
  Event* take(const CudaRuntime& cuda, int& status) noexcept;
  // Adds a reference to an event still in use here; false if it has gone back since `serial`.
  bool borrow(Event* event, uint32_t serial) noexcept;
  // Adds a reference to an event that the caller holds one of.
  void retain(Event* event) noexcept;
  // Takes one reference off an event that holds no unread time.
  void release(Event* event) noexcept;

  // Gives the free events at hand back to the pool, for lanes that have none.
  void give_back_spare() noexcept;

  // Hands over a booked scope. Returns how many scopes have been pushed so far.
  uint64_t push(const Pending& pending) noexcept;

  // --- the reader ---

  bool try_start_reading() noexcept { return reading_.try_lock(); }
  void stop_reading() noexcept { reading_.unlock(); }
  // The oldest pending scope, or null. Stays valid until pop().
  const Pending* oldest() const noexcept;
  // Removes the oldest; its events lose one reference each, and those with none left are free.
  // Where it is not certain that the device is done with them, they are parked in the pool instead.
  void pop(bool events_are_done = true) noexcept;

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

  // What the reader last learnt, on the host's clock: when it looked, when it last compared the
  // clocks, and the moment up to which the device is known to have done what was issued here.
  std::atomic<int64_t> last_poll_ns{0};
  std::atomic<int64_t> last_look_ns{0};
  std::atomic<int64_t> caught_up_ns{0};

 private:
  // So many that an event rests between two records for longer than the device lags as a rule.
  static constexpr size_t kRefill = EventPool::kBatch;
  static constexpr size_t kMaxAtHand = 2 * kRefill;

  void set_free(Event* event) noexcept;
  // Takes the references of a scope off its events; those left with none are moved to `orphans`.
  void drop_references(const Pending& pending, EventQueue& orphans) noexcept;

  EventPool& pool_;
  mutable SpinLock lock_;  // guards free_, booked_, references of events, and pushing
  EventQueue free_;
  size_t booked_ = 0;
  SpinLock reading_;  // the reader's right; only ever tried
  std::unique_ptr<Pending[]> ring_;
  // The release on each pairs with the acquire of the other side: a slot is written before it is
  // counted as pushed, and read before it is counted as popped.
  std::atomic<uint64_t> pushed_{0};
  std::atomic<uint64_t> popped_{0};
};

}  // namespace fasttime
