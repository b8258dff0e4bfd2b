// SPDX-License-Identifier: BSD-3-Clause
// Scopes of a handle: modules that begin and end at common boundaries.
//
// Between the end of one module and the begin of the next lies Python code that takes longer than
// the share window. The caller knows when nothing was put on a stream meanwhile; then both share
// one event, whatever the time between them.
#include <algorithm>

#include "core/recorder.h"
#include "core/thread_boundary.h"
#include "host/host_clock.h"

namespace fasttime {

[[gnu::hot]] Lane* Recorder::current_lane(const CudaRuntime& cuda, OpenScope& scope) noexcept {
  Place place;
  if (!current_place(cuda, place)) {
    scope.status = Status::kFailed;
    return nullptr;
  }
  Lane* lane = lane_at(cuda, place);
  if (lane == nullptr) {
    scope.status = why_no_lane(cuda, place);
  }
  return lane;
}

[[gnu::hot]] Event* Recorder::meeting_event(const CudaRuntime& cuda, Meeting& meeting,
                                            bool& is_same_moment, int64_t now_ns, Lane& lane,
                                            OpenScope& scope) {
  const bool is_begin = scope.begin_event == nullptr;
  ThreadBoundary& last = this_thread();
  // As for all scopes, an end shares its own begin never, and no record of another thread.
  if (is_same_moment && meeting.lane == &lane && meeting.event != scope.begin_event &&
      meeting.thread == last.thread && (is_begin || scope.begun_by == last.thread) &&
      lane.borrow(meeting.event, meeting.serial, is_begin)) {
    scope.shares_boundary = true;
    return meeting.event;
  }
  Event* event = boundary(cuda, last, now_ns, lane, scope);
  if (event != nullptr) {
    meeting = {&lane, event, event->serial.load(std::memory_order_relaxed), last.thread};
    is_same_moment = true;
  }
  return event;
}

[[gnu::hot]] void Recorder::meet(Meeting& last, bool is_same_moment, OpenScope* const* ended,
                                 size_t ended_count, OpenScope* const* begun, size_t begun_count) {
  const CudaRuntime& cuda = runtime();
  const int64_t now_ns = cuda.host_now_ns();
  ThreadBoundary& boundary_of_thread = this_thread();
  boundary_of_thread.left_ns = now_ns;  // since enter_call(), all time was fasttime's own
  if (!is_same_moment) {
    last = Meeting{};  // this boundary may have no event, and the next must not share an older one
  }
  for (size_t i = 0; i < ended_count; ++i) {
    OpenScope& scope = *ended[i];
    if (scope.process != process()) {
      continue;
    }
    if (scope.lane != nullptr && !cuda.has_cuda) {
      release_lost_lane(scope);
    }
    const int64_t end_ns = std::max(now_ns, scope.host_begin_ns);
    if (scope.lane == nullptr) {
      end_on_host(scope, end_ns);
      continue;
    }
    Lane& lane = *scope.lane;
    Event* event = meeting_event(cuda, last, is_same_moment, now_ns, lane, scope);
    push_ended(cuda, lane, scope, event, end_ns);
  }
  for (size_t i = 0; i < begun_count; ++i) {
    OpenScope& scope = *begun[i];
    scope.epoch = epoch_.load(std::memory_order_relaxed);
    scope.process = process();
    scope.begun_by = boundary_of_thread.thread;
    Lane* lane = cuda.has_cuda ? current_lane(cuda, scope) : nullptr;
    if (lane != nullptr) {
      scope.status = Status::kOk;
      scope.begin_event = meeting_event(cuda, last, is_same_moment, now_ns, *lane, scope);
    }
    if (scope.begin_event != nullptr) {
      scope.lane = lane;
    } else {
      open_on_host_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (begun_count != 0) {
    const int64_t begin_ns = cuda.host_now_ns();
    for (size_t i = 0; i < begun_count; ++i) {
      begun[i]->host_begin_ns = begin_ns;
    }
  }
}

}  // namespace fasttime
