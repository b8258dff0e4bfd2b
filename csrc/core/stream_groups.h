// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/lane.h"
#include "core/span_store.h"
#include "core/statistics.h"
#include "cuda/cuda_runtime.h"
#include "cuda/places.h"
#include "host/spin_lock.h"

namespace fasttime {

// One pass of a scope over several streams. Its events belong to the lanes on which they were
// recorded. The scope is on no lane's list and takes no room there.
struct StreamGroup {
  struct OnLane {
    Lane* lane;
    Event* begin;
    Event* end;  // null until the scope ends
  };

  StreamGroup* next = nullptr;  // in the list that holds it
  uint64_t number = 0;          // counts the groups that were pushed, from 1
  uint16_t index = 0;           // its place in the store, from 1
  size_t count = 0;
  Pending scope;  // its first begin and its last end are only known once it is read
  std::array<OnLane, Places::kMost> on{};

  // Adds a lane on which begin() has booked room and recorded an event.
  void add(Lane* lane, Event* begin) noexcept {
    lane->unbook();
    on[count++] = {lane, begin, nullptr};
  }
};

// The open and pending scopes of a recorder that cover several streams. Thread-safe. Never waits
// for the device.
//
// The device time of such a scope lasts from its first begin to its last end. Both are known once
// the device has passed all of its events. Elapsed times work across the streams of one device.
//
// Bounded: with kMost groups open or pending, take() returns none and the new scope is dropped.
class StreamGroups {
 public:
  static constexpr size_t kMost = 1024;

  StreamGroups() = default;
  ~StreamGroups();
  StreamGroups(const StreamGroups&) = delete;
  StreamGroups& operator=(const StreamGroups&) = delete;

  // An empty group; null if there is no room or no memory. Allocates kBlock groups at a time.
  StreamGroup* take() noexcept;
  // The group with this index. It must be open.
  StreamGroup& at(uint16_t index) noexcept {
    return (*blocks_[(index - 1u) / kBlock])[(index - 1u) % kBlock];
  }
  // Drops a group that is not pending. The device may not have passed its events.
  void drop(StreamGroup& group) noexcept;
  // The scope has ended, and all of its events are recorded.
  void push(StreamGroup& group) noexcept;

  // Turns pending groups into samples, oldest first, and asks for `limit` of them at most. A group
  // that is not ready stays, and holds up only groups that share a late stream. Returns at once if
  // another thread reads. May take an anchor, as resolve_ready() does.
  void resolve(const CudaRuntime& cuda, StatisticsTable& statistics, SpanStore& spans, size_t limit,
               int64_t now_ns) noexcept;
  // Turns all pending groups into failed samples, without a call to CUDA. For a lost device.
  void fail(StatisticsTable& statistics, SpanStore& spans) noexcept;
  // Drops all pending groups. Their recorder dies.
  void drop_pending() noexcept;

  // How many groups were ever pushed.
  uint64_t pushed() const noexcept;
  // Whether the first `count` groups that were pushed are resolved. False while a thread reads.
  bool are_resolved(uint64_t count) const noexcept;
  size_t pending() const noexcept;

 private:
  static constexpr size_t kBlock = 64;
  using Block = std::array<StreamGroup, kBlock>;

  // Groups linked through `next`, oldest first.
  struct List {
    StreamGroup* head = nullptr;
    StreamGroup* tail = nullptr;  // valid only if there is a head

    void push(StreamGroup* group) noexcept;
    StreamGroup* pop() noexcept;
    void append(const List& other) noexcept;
  };

  void grow() noexcept;
  void release(StreamGroup& group, bool events_are_done) noexcept;
  // Calls `read` for each pending group, oldest first. It answers false if the group stays pending.
  template <typename Read>
  void each_pending(Read read) noexcept;

  mutable SpinLock lock_;  // guards everything below but blocks_; held for a few pointer swaps
  List free_;
  List pending_;
  bool is_detached_ = false;  // a reader holds the pending groups
  uint64_t pushed_ = 0;
  size_t pending_count_ = 0;
  size_t block_count_ = 0;
  std::array<Block*, kMost / kBlock> blocks_{};  // written once, before a group of it is taken
};

}  // namespace fasttime
