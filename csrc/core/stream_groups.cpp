// SPDX-License-Identifier: BSD-3-Clause
#include "core/stream_groups.h"

#include <algorithm>
#include <mutex>
#include <new>

#include "core/resolver.h"
#include "cuda/contexts.h"
#include "cuda/devices.h"

namespace fasttime {
namespace {

// Streams that were found to be late during one reading. A later group on such a stream cannot be
// ready either, so nothing has to be asked. Streams beyond these are asked each time.
class LateLanes {
 public:
  bool has_one_of(const StreamGroup& group) const noexcept {
    for (size_t i = 0; i < group.count; ++i) {
      if (std::find(lanes_.begin(), lanes_.begin() + count_, group.on[i].lane) !=
          lanes_.begin() + count_) {
        return true;
      }
    }
    return false;
  }
  void add(const Lane* lane) noexcept {
    if (count_ < static_cast<std::ptrdiff_t>(lanes_.size())) {
      lanes_[static_cast<size_t>(count_++)] = lane;
    }
  }

 private:
  std::array<const Lane*, 32> lanes_{};
  std::ptrdiff_t count_ = 0;
};

// Finds the first begin and the last end, and the time between them. On "not ready", `late` is the
// lane whose event is missing.
int ask(const CudaRuntime& cuda, const StreamGroup& group, Pending& scope, float& elapsed_ms,
        const Lane*& late) noexcept {
  void* origin = group.on[0].begin->handle;
  float last_end_ms = 0;
  for (size_t i = 0; i < group.count; ++i) {
    const StreamGroup::OnLane& on = group.on[i];
    float ms = 0;
    // The first answer also says that the origin is done: both lie on one stream.
    if (const int status = elapsed_time(cuda, &ms, origin, on.end->handle)) {
      late = on.lane;
      return status;
    }
    if (i == 0 || ms > last_end_ms) {
      last_end_ms = ms;
      scope.end = on.end;
    }
  }
  float first_begin_ms = 0;
  scope.begin = group.on[0].begin;
  for (size_t i = 1; i < group.count; ++i) {
    float ms = 0;
    if (const int status = elapsed_time(cuda, &ms, origin, group.on[i].begin->handle)) {
      late = group.on[i].lane;
      return status;
    }
    if (ms < first_begin_ms) {
      first_begin_ms = ms;
      scope.begin = group.on[i].begin;
    }
  }
  return elapsed_time(cuda, &elapsed_ms, scope.begin->handle, scope.end->handle);
}

// The device has done everything that the host had queued on these streams before the end. A
// reader of the lane may store an older time afterwards, which is true as well.
void note_caught_up(const StreamGroup& group) noexcept {
  for (size_t i = 0; i < group.count; ++i) {
    std::atomic<int64_t>& caught_up_ns = group.on[i].lane->caught_up_ns;
    if (caught_up_ns.load(std::memory_order_relaxed) < group.scope.host_end_ns) {
      caught_up_ns.store(group.scope.host_end_ns, std::memory_order_relaxed);
    }
  }
}

}  // namespace

StreamGroups::~StreamGroups() {
  for (Block* block : blocks_) {
    delete block;
  }
}

void StreamGroups::List::push(StreamGroup* group) noexcept {
  group->next = nullptr;
  (head == nullptr ? head : tail->next) = group;
  tail = group;
}

StreamGroup* StreamGroups::List::pop() noexcept {
  StreamGroup* group = head;
  if (group != nullptr) {
    head = group->next;
  }
  return group;
}

void StreamGroups::List::append(const List& other) noexcept {
  if (other.head != nullptr) {
    (head == nullptr ? head : tail->next) = other.head;
    tail = other.tail;
  }
}

void StreamGroups::grow() noexcept {
  auto* block = new (std::nothrow) Block;
  const std::lock_guard<SpinLock> hold(lock_);
  if (block == nullptr || block_count_ == blocks_.size()) {
    delete block;
    return;
  }
  const size_t first = block_count_ * kBlock + 1;
  blocks_[block_count_++] = block;
  for (size_t i = 0; i < kBlock; ++i) {
    (*block)[i].index = static_cast<uint16_t>(first + i);
    free_.push(&(*block)[i]);
  }
}

StreamGroup* StreamGroups::take() noexcept {
  for (const bool may_grow : {true, false}) {
    {
      const std::lock_guard<SpinLock> hold(lock_);
      if (StreamGroup* group = free_.pop()) {
        group->count = 0;
        return group;
      }
      if (block_count_ == blocks_.size()) {
        return nullptr;
      }
    }
    if (may_grow) {
      grow();
    }
  }
  return nullptr;
}

void StreamGroups::release(StreamGroup& group, bool events_are_done) noexcept {
  for (size_t i = 0; i < group.count; ++i) {
    group.on[i].lane->discard(group.on[i].begin, group.on[i].end, events_are_done);
  }
}

void StreamGroups::drop(StreamGroup& group) noexcept {
  release(group, false);
  const std::lock_guard<SpinLock> hold(lock_);
  free_.push(&group);
}

void StreamGroups::push(StreamGroup& group) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  group.number = ++pushed_;
  ++pending_count_;
  pending_.push(&group);
}

// The pending groups are detached meanwhile, so other threads can push.
template <typename Read>
void StreamGroups::each_pending(Read read) noexcept {
  List rest;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    if (is_detached_ || pending_.head == nullptr) {
      return;
    }
    is_detached_ = true;
    std::swap(rest, pending_);
  }
  List kept;
  List done;
  size_t done_count = 0;
  while (StreamGroup* group = rest.pop()) {
    if (read(*group)) {
      done.push(group);
      ++done_count;
    } else {
      kept.push(group);
    }
  }
  const std::lock_guard<SpinLock> hold(lock_);
  kept.append(pending_);
  pending_ = kept;
  free_.append(done);
  pending_count_ -= done_count;
  is_detached_ = false;
}

void StreamGroups::resolve(const CudaRuntime& cuda, StatisticsTable& statistics, SpanStore& spans,
                           size_t limit, int64_t now_ns) noexcept {
  LateLanes late;
  int renewed = -1;  // the device whose clock was renewed last
  each_pending([&](StreamGroup& group) {
    if (limit == 0 || late.has_one_of(group)) {
      return false;
    }
    --limit;
    const Place& place = group.on[0].lane->place;
    const ScopedContext guard(cuda, place.device);
    Device* device = device_at(cuda, place.device);
    if (device == nullptr) {
      return false;
    }
    if (renewed != place.device) {
      device->clock.renew(cuda, place.device, now_ns);
      renewed = place.device;
    }
    Pending scope = group.scope;
    float elapsed_ms = 0;
    const Lane* late_lane = nullptr;
    const int status = ask(cuda, group, scope, elapsed_ms, late_lane);
    if (status == cuda::kNotReady) {
      if (late_lane != nullptr) {
        late.add(late_lane);
      }
      return false;
    }
    if (!count_answered(cuda, scope, status, elapsed_ms, place, device->clock, statistics, spans)) {
      return false;
    }
    if (status == cuda::kSuccess) {
      note_caught_up(group);
    }
    release(group, status == cuda::kSuccess);
    return true;
  });
}

void StreamGroups::fail(StatisticsTable& statistics, SpanStore& spans) noexcept {
  each_pending([&](StreamGroup& group) {
    count_failed(group.scope, group.on[0].lane->place, statistics, spans);
    release(group, false);
    return true;
  });
}

void StreamGroups::drop_pending() noexcept {
  each_pending([&](StreamGroup& group) {
    release(group, false);
    return true;
  });
}

uint64_t StreamGroups::pushed() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return pushed_;
}

bool StreamGroups::are_resolved(uint64_t count) const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return !is_detached_ && (pending_.head == nullptr || pending_.head->number > count);
}

size_t StreamGroups::pending() const noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  return pending_count_;
}

}  // namespace fasttime
