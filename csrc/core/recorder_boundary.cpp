// SPDX-License-Identifier: BSD-3-Clause
// One boundary of a scope: the event that marks a moment on a lane.
#include "core/recorder.h"
#include "core/thread_boundary.h"
#include "host/host_clock.h"
#include "host/scoped_gil_release.h"

namespace fasttime {
namespace {

// A launch queue holds 1,020 entries, and the cheapest thing that takes one up takes the host 0.9
// us. So a queue that was known to be drained less than this ago, a third of what it takes to fill
// it, is not full, and a record will not block.
constexpr int64_t kQueueFillNs = 300'000;

// However little of it was spent outside, a lent boundary is no older than this: what reads as
// device time must not be ours.
constexpr int64_t kMaxLoanAgeNs = 4'000;

// Lets the GIL go meanwhile. `recorded_ns` is when the record returned.
[[gnu::noinline]] int record_that_may_block(const CudaRuntime& cuda, const Event& event,
                                            const Lane& lane, bool is_plain, int64_t& recorded_ns) {
  const ScopedGilRelease meanwhile;
  const int status = record_event(cuda, event.handle, lane.place, is_plain);
  // Others may work while this thread waits for the GIL; how long that took counts as age.
  recorded_ns = cuda.host_now_ns();
  return status;
}

// What a scope becomes whose stream captures, or would not say.
[[gnu::cold]] void refuse(const CudaRuntime& cuda, CaptureState capture, int status,
                          OpenScope& scope) noexcept {
  if (capture == CaptureState::kCapturing) {
    scope.status = Status::kCaptured;
  } else {
    note_failure(cuda, "cudaStreamIsCapturing", status);
    scope.status = Status::kFailed;
  }
}

}  // namespace

[[gnu::hot]] Event* Recorder::boundary(const Moment& moment, Lane& lane, OpenScope& scope,
                                       bool is_plain) {
  const auto& [cuda, last, now_ns] = moment;
  int status = cuda::kSuccess;
  const CaptureState capture = capture_state(cuda, lane.place, status);
  if (capture != CaptureState::kNone) {
    refuse(cuda, capture, status, scope);
    return nullptr;
  }
  const bool is_first = scope.begin_event == nullptr;
  // A scope's own begin must not be its end: the scope would take no time by construction. Nor may
  // its end lie before its begin, as the last boundary of another thread than began it can. And a
  // lent event does not renew the window: chained loans could stretch it to any length.
  if (last.outside_ns < share_window_ns_.load(std::memory_order_relaxed) && last.lane == &lane &&
      last.event != scope.begin_event && (is_first || scope.begun_by == last.thread) &&
      now_ns - last.recorded_ns < kMaxLoanAgeNs && lane.borrow(last.event, last.serial, is_first)) {
    scope.shares_boundary = true;
    return last.event;
  }
  bool may_block =
      has_aged(lane.caught_up_ns.load(std::memory_order_relaxed), now_ns, kQueueFillNs);
  Event* event = lane.take(is_first);
  if (event == nullptr) {
    event = find_event(moment, lane, scope);
    if (event == nullptr) {
      return nullptr;
    }
    may_block = true;  // that took as long as it took
  }
  int64_t recorded_ns = now_ns;
  if (may_block) {
    status = record_that_may_block(cuda, *event, lane, is_plain, recorded_ns);
  } else {
    status = record_event(cuda, event->handle, lane.place, is_plain);
  }
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaEventRecord", status);
    lane.release(event, is_first);
    scope.status = Status::kFailed;
    return nullptr;
  }
  last.lane = &lane;
  last.life = life_.load(std::memory_order_relaxed);
  last.place = lane.place;
  last.event = event;
  last.serial = event->serial.load(std::memory_order_relaxed);
  last.recorded_ns = last.left_ns = recorded_ns;
  last.outside_ns = 0;
  return event;
}

Event* Recorder::boundary_elsewhere(const Moment& moment, Lane& lane, OpenScope& scope) {
  const ScopedContext guard(moment.cuda, lane.place.device);
  if (!guard.holds()) {
    scope.status = Status::kFailed;
    return nullptr;
  }
  return boundary(moment, lane, scope, false);
}

[[gnu::cold]] Event* Recorder::find_event(const Moment& moment, Lane& lane,
                                          OpenScope& scope) noexcept {
  const CudaRuntime& cuda = moment.cuda;
  const bool is_first = scope.begin_event == nullptr;
  if (is_first && lane.booked() == Lane::kMaxScopes) {
    resolve(cuda, lane, Lane::kMaxScopes, moment.now_ns);
    if (lane.booked() == Lane::kMaxScopes) {
      scope.status = Status::kDropped;
      return nullptr;
    }
  }
  int status = cuda::kSuccess;
  Event* event = lane.take(is_first);
  if (event == nullptr && lane.refill(cuda, status)) {
    event = lane.take(is_first);
  }
  if (event == nullptr && status == cuda::kSuccess) {
    // The pool has reached its bound: what other lanes hold may be done by now, or at hand there.
    poll();
    each_lane([](Lane& other) { other.return_spare_to_pool(); });
    lane.refill(cuda, status);
    event = lane.take(is_first);
  }
  if (event == nullptr) {
    // A failure was noted where it happened; without one the bound is reached.
    scope.status = status == cuda::kSuccess ? Status::kDropped : Status::kFailed;
    return nullptr;
  }
  // Reading may have let the GIL go, and others may have begun a capture meanwhile.
  const CaptureState capture = capture_state(cuda, lane.place, status);
  if (capture != CaptureState::kNone) {
    lane.release(event, is_first);
    refuse(cuda, capture, status, scope);
    return nullptr;
  }
  return event;
}

}  // namespace fasttime
