// SPDX-License-Identifier: BSD-3-Clause
#include "core/recorder.h"

#include <algorithm>
#include <new>

#include "core/resolver.h"
#include "core/thread_boundary.h"
#include "cuda/contexts.h"
#include "cuda/devices.h"
#include "host/host_clock.h"
#include "host/thread_number.h"

namespace fasttime {
namespace {

// Scope ends read older scopes. Every sixteenth end on a lane reads up to 32 scopes, so reading
// keeps up, and one end spends a few microseconds on it at most. If scopes end less often than
// every 500 us, each end reads the scopes before it.
constexpr uint64_t kEndsBetweenPolls = 16;
constexpr size_t kPollLimit = 32;
constexpr int64_t kPollAgeNs = 500'000;

thread_local ThreadBoundary t_boundary;

// The number of the calling thread, whose boundary this is.
uint32_t number_of(ThreadBoundary& own) noexcept {
  if (own.thread == 0) {
    own.thread = static_cast<uint32_t>(thread_number());
  }
  return own.thread;
}

size_t slot_of(const Place& place) noexcept {
  const uint64_t key =
      reinterpret_cast<uintptr_t>(place.stream) * 64 + static_cast<uint64_t>(place.device);
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15ull) >> 40);
}

}  // namespace

ThreadBoundary& Recorder::this_thread() noexcept {
  number_of(t_boundary);
  return t_boundary;
}

void Recorder::push_ended(const CudaRuntime& cuda, Lane& lane, const OpenScope& scope, Event* end,
                          int64_t host_end_ns) {
  read_now_and_then(cuda, host_end_ns, lane, lane.push(pending_of(scope, end, host_end_ns)));
}

void Recorder::forget_thread() noexcept { t_boundary = ThreadBoundary{}; }

[[gnu::hot]] int64_t Recorder::enter_call() noexcept {
  const CudaRuntime& cuda = runtime();
  if (!cuda.has_cuda) {
    return 0;  // unused without CUDA
  }
  const int64_t now_ns = cuda.host_now_ns();
  t_boundary.enter_call(now_ns);
  return now_ns;
}

[[gnu::hot]] void Recorder::leave_call() noexcept {
  if (shares_boundaries()) {
    t_boundary.left_ns = runtime().host_now_ns();
  }
}

[[gnu::hot]] void Recorder::begin(OpenScope& scope, SiteTable::Id site, const Place* chosen,
                                  int64_t entered_ns) {
  new (&scope) OpenScope;  // in place: an assignment would copy it from the stack
  scope.site = site;
  scope.epoch = epoch_.load(std::memory_order_relaxed);
  scope.process = process();
  scope.begun_by = number_of(t_boundary);
  const CudaRuntime& cuda = runtime();
  if (cuda.has_cuda) {
    Place place;
    if (chosen != nullptr) {
      begin_on_chosen(cuda, entered_ns, scope, *chosen);
    } else if (current_place(cuda, place)) {
      begin_at(cuda, entered_ns, scope, place);
    } else {
      scope.status = Status::kFailed;
    }
  }
  if (scope.lane == nullptr) {
    open_on_host_.fetch_add(1, std::memory_order_relaxed);
    scope.host_begin_ns = cuda.host_now_ns();
  }
}

void Recorder::begin_on_chosen(const CudaRuntime& cuda, int64_t now_ns, OpenScope& scope,
                               const Place& chosen) {
  if (const Places* places = places_of(chosen)) {
    begin_on_streams(cuda, t_boundary, now_ns, scope, *places);
    return;
  }
  Place place = chosen;
  if (chosen.device < 0) {
    if (!current_place(cuda, place)) {
      scope.status = Status::kFailed;
      return;
    }
    place.stream = chosen.stream;
  }
  const ScopedContext guard(cuda, device_to_switch_to(place));
  if (guard.holds()) {
    begin_at(cuda, now_ns, scope, place);
  } else {
    scope.status = is_started(cuda, place.device) ? Status::kFailed : Status::kHostOnly;
  }
}

// The status of a scope that has no lane.
[[gnu::cold]] Status Recorder::why_no_lane(const CudaRuntime& cuda, const Place& place) noexcept {
  if (is_per_thread(place.stream)) {
    note_failure(
        "a scope is on CUDA's per-thread default stream, a different stream in each thread, so "
        "fasttime cannot time it; use a torch.cuda.Stream()");
    return Status::kFailed;
  }
  // A device that the process does not use runs no work, so there is no device time.
  return is_started(cuda, place.device) ? Status::kDropped : Status::kHostOnly;
}

[[gnu::hot]] inline void Recorder::begin_at(const CudaRuntime& cuda, int64_t now_ns,
                                            OpenScope& scope, const Place& place) {
  ThreadBoundary& last = t_boundary;
  const bool is_known = last.life == life_.load(std::memory_order_relaxed) &&
                        last.place.stream == place.stream && last.place.device == place.device;
  Lane* lane = is_known ? last.lane : lane_at(cuda, place);
  if (lane == nullptr) {
    scope.status = why_no_lane(cuda, place);
    return;
  }
  scope.status = Status::kOk;
  scope.begin_event = boundary(cuda, last, now_ns, *lane, scope);
  if (scope.begin_event == nullptr) {
    return;
  }
  scope.lane = lane;
  // Taken last: host time excludes this call.
  scope.host_begin_ns = last.left_ns = cuda.host_now_ns();
}

[[gnu::hot]] void Recorder::end(OpenScope& scope) {
  const CudaRuntime& cuda = runtime();
  // Taken first: host time excludes this call.
  const int64_t now_ns = std::max(cuda.host_now_ns(), scope.host_begin_ns);
  if (scope.process != process()) {
    return;
  }
  if (scope.lane != nullptr && !cuda.has_cuda) {
    release_lost_lane(scope);
  }
  if (scope.lane == nullptr) {
    end_on_host(scope, now_ns);
    return;
  }
  Lane& lane = *scope.lane;
  ThreadBoundary& last = t_boundary;
  last.enter_call(now_ns);
  Event* event = boundary(cuda, last, now_ns, lane, scope);
  read_now_and_then(cuda, now_ns, lane, lane.push(pending_of(scope, event, now_ns)));
}

[[gnu::hot]] inline void Recorder::read_now_and_then(const CudaRuntime& cuda, int64_t now_ns,
                                                     Lane& lane, uint64_t pushed) noexcept {
  if (pushed % kEndsBetweenPolls == 0 ||
      has_aged(lane.last_poll_ns.load(std::memory_order_relaxed), now_ns, kPollAgeNs)) {
    // Leaves out the scope just pushed: the device had no time to reach it.
    resolve(cuda, lane, std::min(kPollLimit, lane.unread() - 1), now_ns);
    if (graphs_.has_scopes()) {
      read_graphs(kPollLimit, now_ns);
    }
  }
}

void Recorder::end_on_host(OpenScope& scope, int64_t now_ns) {
  if (scope.group != 0) {
    end_on_streams(runtime(), t_boundary, now_ns, scope);
    return;
  }
  open_on_host_.fetch_sub(1, std::memory_order_relaxed);
  if (!end_in_graph(scope)) {
    add_unresolved(scope, now_ns);
  }
}

[[gnu::cold]] bool Recorder::end_in_graph(const OpenScope& scope) noexcept {
  const CudaRuntime& cuda = runtime();
  return scope.in_graph.stamp != nullptr && cuda.has_cuda &&
         graphs_.end(cuda, scope.in_graph, scope.site, scope.begun_by, scope.shares_boundary);
}

void Recorder::continue_on_host(OpenScope& scope, Status status) noexcept {
  scope.lane = nullptr;
  scope.begin_event = nullptr;
  scope.status = status;
  open_on_host_.fetch_add(1, std::memory_order_relaxed);
}

[[gnu::cold]] void Recorder::release_lost_lane(OpenScope& scope) noexcept {
  scope.lane->release(scope.begin_event, true);
  continue_on_host(scope, Status::kFailed);
}

void Recorder::begin_phase(OpenScope& phase, SiteTable::Id site, const OpenScope& block,
                           const Place* chosen) {
  if (block.process != process()) {
    phase = OpenScope{};
    return;
  }
  const CudaRuntime& cuda = runtime();
  Lane* lane = block.lane;  // another thread may end the block while the record waits
  if (lane == nullptr || !cuda.has_cuda) {
    begin(phase, site, chosen);
    leave_call();
    return;
  }
  ThreadBoundary& last = t_boundary;
  const int64_t now_ns = enter_call();
  phase = OpenScope{};
  phase.site = site;
  phase.epoch = epoch_.load(std::memory_order_relaxed);
  phase.process = block.process;
  phase.begun_by = number_of(last);
  phase.status = Status::kOk;
  phase.begin_event = boundary(cuda, last, now_ns, *lane, phase);
  if (phase.begin_event == nullptr) {
    continue_on_host(phase, phase.status);
  } else {
    phase.lane = lane;
  }
  phase.host_begin_ns = last.left_ns = cuda.host_now_ns();
}

[[gnu::hot]] void Recorder::change_phase(OpenScope& phase, SiteTable::Id site) {
  const CudaRuntime& cuda = runtime();
  const int64_t now_ns = std::max(cuda.host_now_ns(), phase.host_begin_ns);
  if (phase.process != process()) {
    return;
  }
  if (phase.lane != nullptr && !cuda.has_cuda) {
    release_lost_lane(phase);
  }
  if (phase.lane == nullptr) {
    if (!end_in_graph(phase)) {
      add_unresolved(phase, now_ns);
    }
    phase.in_graph = {};
  } else {
    Lane& lane = *phase.lane;
    ThreadBoundary& last = t_boundary;
    last.enter_call(now_ns);
    Event* event = boundary(cuda, last, now_ns, lane, phase);
    const Pending ended = pending_of(phase, event, now_ns);
    bool is_booked = false;
    const uint64_t pushed =
        event == nullptr ? lane.push(ended) : lane.push_and_book(ended, is_booked);
    read_now_and_then(cuda, now_ns, lane, pushed);
    if (is_booked) {
      phase.begin_event = event;
      phase.begun_by = number_of(last);
    } else {
      continue_on_host(phase, event == nullptr ? phase.status : Status::kDropped);
    }
    if (share_window_ns_.load(std::memory_order_relaxed) != 0) {
      last.left_ns = cuda.host_now_ns();
    }
  }
  phase.site = site;
  phase.host_begin_ns = now_ns;
  phase.epoch = epoch_.load(std::memory_order_relaxed);
  phase.shares_boundary = true;
}

[[gnu::cold]] void Recorder::retry_phase(OpenScope& phase, const Place* chosen) {
  if (phase.process != process()) {
    return;
  }
  open_on_host_.fetch_sub(1, std::memory_order_relaxed);
  // Phases lie end to end on the host, whatever this call takes.
  const int64_t began_ns = phase.host_begin_ns;
  begin(phase, phase.site, chosen);
  phase.host_begin_ns = began_ns;
  leave_call();
}

void Recorder::end_block(OpenScope& block, OpenScope& phase) {
  const CudaRuntime& cuda = runtime();
  const int64_t now_ns = std::max(cuda.host_now_ns(), phase.host_begin_ns);
  if (phase.lane == nullptr || phase.lane != block.lane || !cuda.has_cuda ||
      phase.process != process()) {
    end(phase);
    end(block);
    return;
  }
  Lane& lane = *phase.lane;
  ThreadBoundary& last = t_boundary;
  last.enter_call(now_ns);
  // The block's own begin cannot come back as its end: a later boundary on this thread began the
  // phase, and boundary() does not end a phase on its begin, or on another thread's record.
  Event* event = boundary(cuda, last, now_ns, lane, phase);
  if (event == nullptr) {
    block.status = phase.status;
  } else {
    lane.borrow(event, event->serial.load(std::memory_order_relaxed), false);
    block.shares_boundary = true;
  }
  read_now_and_then(cuda, now_ns, lane, lane.push(pending_of(phase, event, now_ns)));
  read_now_and_then(cuda, now_ns, lane, lane.push(pending_of(block, event, now_ns)));
}

void Recorder::abandon(OpenScope& scope) noexcept {
  if (scope.process != process()) {
    return;
  }
  scope.status = Status::kDropped;
  if (scope.lane == nullptr) {
    if (scope.group != 0) {
      groups_.drop(groups_.at(scope.group));
    }
    open_on_host_.fetch_sub(1, std::memory_order_relaxed);
    add_unresolved(scope, scope.host_begin_ns + kNoHostTime);
    return;
  }
  scope.lane->push(pending_of(scope, nullptr, scope.host_begin_ns + kNoHostTime));
}

void Recorder::cancel(OpenScope& scope) noexcept {
  --scope.epoch;             // statistics ignore samples from before a reset
  scope.host_begin_ns = -1;  // timelines ignore scopes from before their interval
  abandon(scope);
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
  Device* device = is_per_thread(place.stream) ? nullptr : device_at(cuda, place.device);
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
  // On a thread without a context, a runtime call would start that thread's current device.
  const ScopedContext guard(cuda, lane.place.device);
  if (Device* device = device_at(cuda, lane.place.device)) {
    resolve_ready(cuda, lane, device->clock, statistics_, spans_, limit, now_ns);
  }
}

}  // namespace fasttime
