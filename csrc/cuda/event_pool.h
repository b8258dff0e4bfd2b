// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cuda/cuda_runtime.h"
#include "host/spin_lock.h"

namespace fasttime {

// A timing event. It belongs for life to the device on which it was created.
struct Event {
  void* handle = nullptr;
  Event* next = nullptr;  // within the queue that holds it
  // How many boundaries of open or pending scopes use this event. Guarded by the lane on which it
  // was recorded.
  uint32_t references = 0;
  // Changes each time the event becomes free, so that a stale pointer can be recognised. Atomic
  // only because a thread with a stale pointer may read it while another lane owns the event.
  std::atomic<uint32_t> serial{0};

  // A plain add, not an atomic one: only the thread that frees the event writes.
  void change_serial() noexcept {
    serial.store(serial.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

// Free events, linked through the events themselves. First in, first out: recording an event soon
// after the device has written its time costs 0.1 us more.
class EventQueue {
 public:
  void push(Event* event) noexcept {
    event->next = nullptr;
    (head_ == nullptr ? head_ : tail_->next) = event;
    tail_ = event;
    ++size_;
  }

  // The event that has waited longest, or null.
  Event* pop() noexcept {
    Event* event = head_;
    if (event != nullptr) {
      head_ = event->next;
      --size_;
    }
    return event;
  }

  size_t size() const noexcept { return size_; }

 private:
  Event* head_ = nullptr;
  Event* tail_ = nullptr;  // valid only if there is a head
  uint32_t size_ = 0;
};

// The timing events of one device. Thread-safe. Never waits for the device.
//
// How the use of an event ends, here and in Lane:
//   release    drops one reference. Without references the event is free, in its lane.
//   put_back   returns free events to the pool.
//   park       returns an event without references that the device may not have passed yet. The
//              pool hands it out again only after the device has passed it.
//
// Creating an event usually takes a third of a microsecond, but sometimes milliseconds. So the pool
// creates events in batches, the first one before the first scope. It never destroys an event: at
// exit the CUDA runtime may be gone already.
//
// Bounded: with kMaxEvents events in use take() returns none, and the new scope is counted as
// dropped. The newest scope is dropped because dropping the oldest could mean that no scope ever
// yields a sample.
class EventPool {
 public:
  static constexpr size_t kMaxEvents = 16384;
  static constexpr size_t kBatch = 128;

  // Creates the first batch. The pool's device must be current. Idempotent.
  void prefill(const CudaRuntime& cuda) noexcept;

  // Takes up to `count` free events. May create a batch. `device` need not be current. If it
  // returns none, `status` is the error of cudaEventCreateWithFlags, or 0 if the pool has reached
  // its bound.
  EventQueue take(const CudaRuntime& cuda, int device, size_t count, int& status) noexcept;

  void put_back(EventQueue& events) noexcept;
  void park(Event* event) noexcept;

  // Counts, for reports and tests.
  size_t created() const noexcept;
  size_t in_pool() const noexcept;  // free or parked

 private:
  bool grow(const CudaRuntime& cuda, int& status) noexcept;
  void collect_parked(const CudaRuntime& cuda) noexcept;

  mutable SpinLock lock_;  // guards everything below
  EventQueue free_;
  EventQueue parked_;
  size_t created_ = 0;
};

}  // namespace fasttime
