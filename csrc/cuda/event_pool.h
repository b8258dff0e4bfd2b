// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cuda/cuda_runtime.h"
#include "host/spin_lock.h"

namespace fasttime {

// A timing event, bound for life to the device it was made on. `references` counts the boundaries
// that it serves (of scopes that are open or pending); the lane it was recorded on guards it.
struct Event {
  void* handle = nullptr;
  Event* next = nullptr;  // in the queue that it is in
  uint32_t references = 0;
  // Moves on each time the event is set free, so that a stale pointer can be told. Atomic only
  // because such a pointer may look while another lane has the event by now.
  std::atomic<uint32_t> serial{0};

  // A plain add rather than an atomic one: whoever sets the event free is the only one to write.
  void move_on() noexcept {
    serial.store(serial.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

// Free events, first in, first out, linked through the events themselves. In turn rather than last
// in, first out: to record an event again soon after the device has written its time costs 0.1 us.
class EventQueue {
 public:
  void push(Event* event) noexcept {
    event->next = nullptr;
    (head_ == nullptr ? head_ : tail_->next) = event;
    tail_ = event;
    ++size_;
  }

  // The one that has waited longest; null if there is none.
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
  Event* tail_ = nullptr;  // of use only where there is a head
  uint32_t size_ = 0;
};

// Timing events of one device. Thread-safe. Creating an event takes a third of a microsecond as a
// rule and now and then milliseconds, so the pool makes them in batches, the first before the first
// scope, and never destroys one: at exit the CUDA runtime may be gone before us.
//
// Bounded: past kMaxEvents take() answers null, and the scope is counted as dropped. The newest is
// given up, since giving up the oldest could mean never to yield a sample at all.
class EventPool {
 public:
  static constexpr size_t kMaxEvents = 16384;
  static constexpr size_t kBatch = 128;

  // Makes the first batch. The pool's device must be current. Idempotent.
  void prefill(const CudaRuntime& cuda) noexcept;

  // Up to `count` free events. May create a batch; `device` need not be current. Where none come,
  // `status` is what cudaEventCreateWithFlags answered, or 0 as the pool has reached its bound.
  EventQueue take(const CudaRuntime& cuda, int device, size_t count, int& status) noexcept;

  // Gives back events that the device is done with, or that were never recorded.
  void give_back(EventQueue& events) noexcept;

  // Takes in an event that the device has not reached yet. It is handed out again only once it
  // has been seen to be done.
  void park(Event* event) noexcept;

  // Counts, for reports and tests.
  size_t created() const noexcept;
  size_t at_home() const noexcept;  // free, or parked

 private:
  bool grow(const CudaRuntime& cuda, int& status) noexcept;
  void collect_parked(const CudaRuntime& cuda) noexcept;

  mutable SpinLock lock_;  // guards everything below
  EventQueue free_;
  EventQueue parked_;
  size_t created_ = 0;
};

}  // namespace fasttime
