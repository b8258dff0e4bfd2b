// SPDX-License-Identifier: BSD-3-Clause
// Scopes over several streams: begin and end record one event on each stream.
#include "core/recorder.h"
#include "core/thread_boundary.h"
#include "cuda/contexts.h"
#include "host/thread_number.h"

namespace fasttime {
namespace {

// An end asks for this many earlier groups at most, which takes it a few microseconds.
constexpr size_t kPollLimit = 32;

}  // namespace

void Recorder::begin_on_streams(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns,
                                OpenScope& scope, const Places& places) {
  Place place{places.device, nullptr};
  if (place.device < 0 && !current_place(cuda, place)) {
    scope.status = Status::kFailed;
    return;
  }
  StreamGroup* group = groups_.take();
  if (group == nullptr) {
    resolve_groups(cuda, StreamGroups::kMost, now_ns);
    group = groups_.take();
  }
  if (group == nullptr) {
    scope.status = Status::kDropped;
    return;
  }
  scope.status = Status::kOk;
  for (size_t i = 0; i < places.count && scope.status == Status::kOk; ++i) {
    place.stream = places.streams[i];
    const ScopedContext guard(cuda, device_to_switch_to(place));
    if (!guard.holds()) {
      scope.status = is_started(cuda, place.device) ? Status::kFailed : Status::kHostOnly;
      break;
    }
    Lane* lane = lane_at(cuda, place);
    if (lane == nullptr) {
      scope.status = why_no_lane(cuda, place);
      break;
    }
    OpenScope on_lane;
    on_lane.begun_by = scope.begun_by;
    if (Event* event = boundary(cuda, last, now_ns, *lane, on_lane)) {
      group->add(lane, event);
      scope.shares_boundary = scope.shares_boundary || on_lane.shares_boundary;
    } else {
      scope.status = on_lane.status;
    }
  }
  if (scope.status == Status::kOk) {
    scope.group = group->index;
  } else {
    scope.shares_boundary = false;
    groups_.drop(*group);
  }
  last.left_ns = cuda.host_now_ns();
}

void Recorder::end_on_streams(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns,
                              OpenScope& scope) {
  StreamGroup& group = groups_.at(scope.group);
  if (!cuda.has_cuda) {
    scope.status = Status::kFailed;
  } else {
    last.enter_call(now_ns);
  }
  for (size_t i = 0; i < group.count && scope.status == Status::kOk; ++i) {
    OpenScope on_lane;
    on_lane.begun_by = scope.begun_by;
    on_lane.begin_event = group.on[i].begin;
    group.on[i].end = boundary(cuda, last, now_ns, *group.on[i].lane, on_lane);
    if (group.on[i].end == nullptr) {
      scope.status = on_lane.status;
    }
    scope.shares_boundary = scope.shares_boundary || on_lane.shares_boundary;
  }
  scope.group = 0;
  if (scope.status != Status::kOk) {
    groups_.drop(group);
    add_unresolved(scope, now_ns);
  } else {
    // Before the push: the device had no time to reach this scope.
    resolve_groups(cuda, kPollLimit, now_ns);
    group.scope = pending_of(scope, nullptr, now_ns);
    groups_.push(group);
  }
  // Last: a scope that ends in between counts as open and pending, but is never left out.
  open_on_host_.fetch_sub(1, std::memory_order_relaxed);
}

void Recorder::resolve_groups(const CudaRuntime& cuda, size_t limit, int64_t now_ns) noexcept {
  if (cuda.has_cuda) {
    groups_.resolve(cuda, statistics_, spans_, limit, now_ns);
  } else {
    groups_.fail(statistics_, spans_);
  }
}

}  // namespace fasttime
