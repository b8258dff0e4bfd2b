// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.h"

#include <algorithm>
#include <new>

#include "devices.h"
#include "process.h"
#include "resolver.h"
#include "thread_number.h"

namespace fasttime {
namespace {

// Reading is spread over scope ends: every sixteenth end of a lane reads up to 32 scopes, so that
// reading keeps up, and no single end pays for more than a few microseconds of it. Where scopes end
// less often than every 50 us, each end reads what came before it.
constexpr uint64_t kEndsBetweenPolls = 16;
constexpr size_t kPollLimit = 32;
constexpr int64_t kPollAgeNs = 50'000;

// A launch queue holds some 1,000 entries, and nothing reaches a stream in less than 0.14 us. So a
// queue that was known to be drained less than this ago is not full, and a record will not block.
constexpr int64_t kQueueFillNs = 140'000;

// However little of it was spent outside, a lent boundary is no older than this: what reads as
// device time must not be ours.
constexpr int64_t kMaxLoanAgeNs = 4'000;

BlockingHooks g_blocking_hooks;

// The boundary that this thread recorded last. One event can serve two boundaries between which
// nothing can have reached the stream. What counts is the time that was not spent in here: our own
// calls put nothing on a stream.
struct ThreadBoundary {
  const Lane* lane = nullptr;
  Event* event = nullptr;
  uint32_t serial = 0;
  int64_t recorded_ns = 0;  // no later than the record's return, but for a wait for the GIL
  int64_t left_ns = 0;      // when this thread was last let go from here
  int64_t outside_ns = 0;   // spent elsewhere since the record
  uint64_t thread = 0;      // its number, once it has begun a scope

  void come_in(int64_t now_ns) noexcept { outside_ns += now_ns - left_ns; }
};
thread_local ThreadBoundary t_boundary;

// The handles that mean a stream of whatever device is current.
bool belongs_to_current_device(void* stream) noexcept {
  return reinterpret_cast<uintptr_t>(stream) <= 2;
}

size_t slot_of(const Place& place) noexcept {
  const uint64_t key =
      reinterpret_cast<uintptr_t>(place.stream) * 64 + static_cast<uint64_t>(place.device);
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15ull) >> 40);
}

// A record on, or a question about, such a handle needs the stream's device to be current.
int device_to_switch_to(const Place& place) noexcept {
  return belongs_to_current_device(place.stream) ? place.device : DeviceGuard::kNoDevice;
}

Pending pending_of(const OpenScope& scope, Event* end, int64_t host_end_ns) noexcept {
  Pending pending;
  pending.begin = scope.begin_event;
  pending.end = end;
  pending.host_begin_ns = scope.host_begin_ns;
  pending.host_end_ns = host_end_ns;
  pending.thread = scope.begun_by;
  pending.site = scope.site;
  pending.epoch = scope.epoch;
  pending.status = scope.status;
  pending.shares_boundary = scope.shares_boundary;
  return pending;
}

}  // namespace

void Recorder::forget_thread() noexcept { t_boundary = ThreadBoundary{}; }

void Recorder::set_blocking_hooks(BlockingHooks hooks) noexcept { g_blocking_hooks = hooks; }

[[gnu::hot]] void Recorder::begin(OpenScope& scope, SiteTable::Id site, const Place* chosen) {
  scope = OpenScope{};
  scope.site = site;
  scope.epoch = epoch_.load(std::memory_order_relaxed);
  scope.process = process_number();
  if (t_boundary.thread == 0) {
    t_boundary.thread = thread_number();
  }
  scope.begun_by = t_boundary.thread;
  const CudaRuntime& cuda = runtime();
  if (cuda.has_cuda) {
    begin_on_device(cuda, scope, chosen);
  }
  if (scope.lane == nullptr) {
    open_on_host_.fetch_add(1, std::memory_order_relaxed);
    scope.host_begin_ns = cuda.host_now_ns();
  }
}

[[gnu::hot]] void Recorder::begin_on_device(const CudaRuntime& cuda, OpenScope& scope,
                                            const Place* chosen) {
  const int64_t now_ns = cuda.host_now_ns();
  t_boundary.come_in(now_ns);
  Place place;
  if (chosen != nullptr && chosen->device >= 0) {
    place = *chosen;
  } else if (!current_place(cuda, place)) {
    scope.status = Status::kFailed;
    return;
  } else if (chosen != nullptr) {
    place.stream = chosen->stream;
  }
  const DeviceGuard guard(cuda,
                          chosen != nullptr ? device_to_switch_to(place) : DeviceGuard::kNoDevice);
  Lane* lane = guard.holds() ? lane_at(cuda, place) : nullptr;
  if (lane == nullptr) {
    scope.status = guard.holds() ? Status::kDropped : Status::kFailed;
    return;
  }
  if (!lane->book()) {
    resolve(cuda, *lane, Lane::kMaxScopes, now_ns);
    if (!lane->book()) {
      scope.status = Status::kDropped;
      return;
    }
  }
  scope.status = Status::kOk;
  scope.begin_event = boundary(cuda, *lane, now_ns, scope);
  if (scope.begin_event == nullptr) {
    lane->cancel();
    return;
  }
  scope.lane = lane;
  // Last, so that the scope's host time is its body's and not this call's.
  scope.host_begin_ns = t_boundary.left_ns = cuda.host_now_ns();
}

[[gnu::hot]] Event* Recorder::boundary(const CudaRuntime& cuda, Lane& lane, int64_t now_ns,
                                       OpenScope& scope) {
  int status = cuda::kSuccess;
  switch (capture_state(cuda, lane.place.stream, status)) {
    case CaptureState::kNone:
      break;
    case CaptureState::kCapturing:
      scope.status = Status::kCaptured;
      return nullptr;
    case CaptureState::kUnknown:
      note_failure(cuda, "cudaStreamIsCapturing", status);
      scope.status = Status::kFailed;
      return nullptr;
  }
  // A scope's own begin must not be its end: the scope would take no time by construction. Nor may
  // its end lie before its begin, as the last boundary of another thread than began it can. And a
  // lent event does not renew the window: chained loans could stretch it to any length.
  ThreadBoundary& last = t_boundary;
  const bool follows = scope.begin_event == nullptr || scope.begun_by == last.thread;
  if (last.lane == &lane && last.event != scope.begin_event && follows &&
      last.outside_ns < share_window_ns_.load(std::memory_order_relaxed) &&
      now_ns - last.recorded_ns < kMaxLoanAgeNs && lane.borrow(last.event, last.serial)) {
    scope.shares_boundary = true;
    return last.event;
  }
  Event* event = take_event(cuda, lane, scope);
  if (event == nullptr) {
    return nullptr;
  }
  const bool may_block = now_ns - lane.caught_up_ns.load(std::memory_order_relaxed) > kQueueFillNs;
  int64_t recorded_ns = 0;
  if (may_block && g_blocking_hooks.let_go != nullptr) {
    void* token = g_blocking_hooks.let_go();
    status = cuda.event_record(event->handle, lane.place.stream);
    // Others may work while this thread waits for the GIL; how long that took counts as age.
    recorded_ns = cuda.host_now_ns();
    g_blocking_hooks.take_back(token);
  } else {
    status = cuda.event_record(event->handle, lane.place.stream);
    recorded_ns = now_ns;
  }
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaEventRecord", status);
    lane.release(event);
    scope.status = Status::kFailed;
    return nullptr;
  }
  last = {&lane,       event,       event->serial.load(std::memory_order_relaxed),
          recorded_ns, recorded_ns, 0,
          last.thread};
  return event;
}

[[gnu::hot]] Event* Recorder::boundary_elsewhere(const CudaRuntime& cuda, Lane& lane,
                                                 int64_t now_ns, OpenScope& scope) {
  const DeviceGuard guard(cuda, device_to_switch_to(lane.place));
  if (!guard.holds()) {
    scope.status = Status::kFailed;
    return nullptr;
  }
  return boundary(cuda, lane, now_ns, scope);
}

[[gnu::hot]] Event* Recorder::take_event(const CudaRuntime& cuda, Lane& lane,
                                         OpenScope& scope) noexcept {
  int status = cuda::kSuccess;
  Event* event = lane.take(cuda, status);
  if (event == nullptr && status == cuda::kSuccess) {
    // The pool has reached its bound: what other lanes hold may be done by now, or at hand there.
    poll();
    each_lane([](Lane& other) { other.give_back_spare(); });
    event = lane.take(cuda, status);
  }
  if (event == nullptr) {
    // A failure was noted where it happened; without one the bound is reached.
    scope.status = status == cuda::kSuccess ? Status::kDropped : Status::kFailed;
  }
  return event;
}

[[gnu::hot]] void Recorder::end(OpenScope& scope) {
  const CudaRuntime& cuda = runtime();
  // First, so that the scope's host time is its body's and not this call's.
  const int64_t now_ns = std::max(cuda.host_now_ns(), scope.host_begin_ns);
  if (scope.process != process_number()) {
    return;
  }
  Lane* lane = scope.lane;
  if (lane == nullptr) {
    open_on_host_.fetch_sub(1, std::memory_order_relaxed);
    add_unresolved(scope, now_ns);
    return;
  }
  if (!cuda.has_cuda) {
    scope.status = Status::kFailed;
    lane->release(scope.begin_event);
    lane->cancel();
    add_unresolved(scope, now_ns);
    return;
  }
  t_boundary.come_in(now_ns);
  Event* event = boundary_elsewhere(cuda, *lane, now_ns, scope);
  push(cuda, scope, event, now_ns);
  t_boundary.left_ns = cuda.host_now_ns();
}

[[gnu::hot]] void Recorder::push(const CudaRuntime& cuda, const OpenScope& scope, Event* end,
                                 int64_t now_ns) noexcept {
  Lane& lane = *scope.lane;
  const uint64_t pushed = lane.push(pending_of(scope, end, now_ns));
  if (pushed % kEndsBetweenPolls == 0 ||
      now_ns - lane.last_poll_ns.load(std::memory_order_relaxed) > kPollAgeNs) {
    // Not the one just pushed: the device has had no time to get there.
    resolve(cuda, lane, std::min(kPollLimit, lane.unread() - 1), now_ns);
  }
}

void Recorder::begin_section(OpenScope& section, const OpenScope& scope) noexcept {
  section = scope;
  section.shares_boundary = true;
  if (scope.lane == nullptr) {
    open_on_host_.fetch_add(1, std::memory_order_relaxed);
  } else if (scope.lane->book()) {
    scope.lane->retain(scope.begin_event);
  } else {
    leave_lane(section, Status::kDropped);
  }
}

void Recorder::leave_lane(OpenScope& scope, Status status) noexcept {
  scope.lane = nullptr;
  scope.begin_event = nullptr;
  scope.status = status;
  open_on_host_.fetch_add(1, std::memory_order_relaxed);
}

[[gnu::hot]] void Recorder::lap(OpenScope& section, SiteTable::Id site) {
  const CudaRuntime& cuda = runtime();
  const int64_t now_ns = std::max(cuda.host_now_ns(), section.host_begin_ns);
  if (section.process != process_number()) {
    return;
  }
  section.site = site;
  Lane* lane = section.lane;
  if (lane != nullptr && !cuda.has_cuda) {
    lane->release(section.begin_event);
    lane->cancel();
    leave_lane(section, Status::kFailed);
    lane = nullptr;
  }
  if (lane == nullptr) {
    add_unresolved(section, now_ns);
  } else {
    t_boundary.come_in(now_ns);
    Event* event = boundary_elsewhere(cuda, *lane, now_ns, section);
    const bool goes_on = event != nullptr && lane->book();
    if (goes_on) {
      lane->retain(event);
    }
    push(cuda, section, event, now_ns);
    section.begin_event = event;
    section.begun_by = t_boundary.thread;
    t_boundary.left_ns = cuda.host_now_ns();
    if (!goes_on) {
      leave_lane(section, event == nullptr ? section.status : Status::kDropped);
    }
  }
  section.host_begin_ns = now_ns;
  section.shares_boundary = true;
}

void Recorder::drop_section(OpenScope& section) noexcept {
  if (section.process != process_number()) {
    return;
  }
  if (section.lane == nullptr) {
    open_on_host_.fetch_sub(1, std::memory_order_relaxed);
  } else {
    section.lane->release(section.begin_event);
    section.lane->cancel();
  }
}

void Recorder::abandon(OpenScope& scope) noexcept {
  if (scope.process != process_number()) {
    return;
  }
  scope.status = Status::kDropped;
  if (scope.lane == nullptr) {
    open_on_host_.fetch_sub(1, std::memory_order_relaxed);
    add_unresolved(scope, scope.host_begin_ns + kNoHostTime);
    return;
  }
  scope.lane->push(pending_of(scope, nullptr, scope.host_begin_ns + kNoHostTime));
}

[[gnu::hot]] Lane* Recorder::lane_at(const CudaRuntime& cuda, const Place& place) noexcept {
  size_t slot = slot_of(place) % kLaneSlots;
  const auto find = [&]() noexcept -> Lane* {
    while (Lane* lane = lanes_[slot].load(std::memory_order_acquire)) {
      if (lane->place.stream == place.stream && lane->place.device == place.device) {
        return lane;
      }
      slot = (slot + 1) % kLaneSlots;
    }
    return nullptr;
  };
  if (Lane* known = find()) {
    return known;
  }
  Device* device = device_at(cuda, place.device);
  if (device == nullptr) {
    return nullptr;
  }
  const std::lock_guard<std::mutex> hold(mutex_);
  if (Lane* made_meanwhile = find()) {
    return made_meanwhile;
  }
  if (lane_count_ == kMaxLanes) {
    return nullptr;
  }
  try {
    auto* lane = new Lane(place, device->pool);
    lanes_[slot].store(lane, std::memory_order_release);
    ++lane_count_;
    return lane;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void Recorder::resolve(const CudaRuntime& cuda, Lane& lane, size_t limit, int64_t now_ns) noexcept {
  if (Device* device = device_at(cuda, lane.place.device)) {
    resolve_ready(cuda, lane, device->clock, statistics_, spans_, limit, now_ns);
  }
}

}  // namespace fasttime
