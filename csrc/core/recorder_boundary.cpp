// SPDX-License-Identifier: BSD-3-Clause
// The boundary of a scope: the event that marks a moment on a lane.
//
// Each begin and each end needs an event. boundary() first tries to share the event that this
// thread recorded a moment ago. Otherwise it records a new one, unless the stream captures a CUDA
// graph.
#include <cstdlib>
#include <cstring>

#include "core/recorder.h"
#include "core/thread_boundary.h"
#include "host/host_clock.h"
#include "host/scoped_gil_release.h"

namespace fasttime {
namespace {

// A launch queue holds 1,020 entries, and the cheapest call that adds an entry takes the host 0.9
// us. This is a third of the time that it takes to fill the queue. If the queue was empty less than
// this ago, it is not full now, and a record does not block.
constexpr int64_t kQueueFillNs = 300'000;

// A device that has nothing else to do reaches a record within this time. Asking earlier is no use.
constexpr int64_t kDeviceLagNs = 20'000;

// A device that was found behind is not asked again for this long: the answer would be the same.
constexpr int64_t kBehindRestNs = 100'000;

// The last record of this thread that released the GIL: when it began, and when it returned. Other
// records leave it alone, because each thread-local variable costs a call.
struct SlowRecord {
  int64_t began_ns = 0;
  int64_t returned_ns = 0;
};
thread_local SlowRecord t_slow_record;
// When this thread last found the device behind its last record.
thread_local int64_t t_found_behind_ns = 0;

// When the thread's last record began.
int64_t began_ns(const ThreadBoundary& last) noexcept {
  // If a slow record returned at the very moment of a later record, this is too early, which only
  // costs a release of the GIL.
  const SlowRecord& slow = t_slow_record;
  return last.recorded_ns == slow.returned_ns ? slow.began_ns : last.recorded_ns;
}

// An event is shared for no longer than this after its record, however little time passed outside
// fasttime. Otherwise fasttime's own time would read as device time.
constexpr int64_t kMaxLoanAgeNs = 4'000;

// Whether CUDA puts the work of all streams into one launch queue. An idle stream may then have a
// full queue.
bool streams_share_a_queue() noexcept {
  static const bool shared = [] {
    const char* connections = std::getenv("CUDA_DEVICE_MAX_CONNECTIONS");
    return connections != nullptr && std::strcmp(connections, "1") == 0;
  }();
  return shared;
}

// Whether the device has reached this thread's last record. Asking takes 70 ns. The serial comes
// last: if the event became free meanwhile, the answer may belong to another record, on any
// stream.
bool has_reached(const CudaRuntime& cuda, const ThreadBoundary& last) noexcept {
  float unused_ms = 0;
  return elapsed_time(cuda, &unused_ms, last.event->handle, last.event->handle) == cuda::kSuccess &&
         last.event->serial.load(std::memory_order_relaxed) == last.serial;
}

// Whether the stream is idle, so that its queue is empty. The stream must not be capturing.
bool is_idle(const CudaRuntime& cuda, const Place& place) noexcept {
  // The guard below would start device 0 on a thread without a current device.
  const bool has_context = cuda.device_count == 1 || has_current_context(cuda, place.device);
  if (!has_context || cuda.driver_stream_query == nullptr) {
    return false;
  }
  const RelaxedCaptureGuard relaxed(cuda);  // another thread's capture could forbid the question
  if (!relaxed.is_relaxed()) {
    return false;
  }
  const int status = cuda.driver_stream_query(place.stream);
  if (status != cuda::kSuccess && status != cuda::kNotReady && status != cuda::kInvalidContext) {
    note_failure(cuda, "cuStreamQuery", status);
  }
  return status == cuda::kSuccess;
}

// Whether the lane's queue is certainly short, although the lane's readings, which lag by some
// scopes, do not say so. If this thread's last record is young, it is enough that the device has
// reached it, because the queue cannot have filled since. Otherwise, the stream must be idle.
//
// This saves a release of the GIL. Each release lets other Python threads wait anew for their turn.
[[gnu::noinline]] bool has_short_queue(const CudaRuntime& cuda, const ThreadBoundary& last,
                                       Lane& lane, int64_t now_ns) noexcept {
  if (!has_aged(t_found_behind_ns, now_ns, kBehindRestNs)) {
    return false;
  }
  int64_t caught_up_ns = now_ns;
  bool is_short = false;
  const int64_t record_ns = began_ns(last);
  if (last.lane == &lane && !has_aged(record_ns, now_ns, kQueueFillNs)) {
    if (!has_aged(record_ns, now_ns, kDeviceLagNs)) {
      return false;
    }
    caught_up_ns = record_ns;
    is_short = has_reached(cuda, last);
  } else {
    is_short = !streams_share_a_queue() && is_idle(cuda, lane.place);
  }
  if (is_short) {
    // A reader may store an older moment at the same time, which only costs another question.
    lane.caught_up_ns.store(caught_up_ns, std::memory_order_relaxed);
  } else {
    t_found_behind_ns = now_ns;
  }
  return is_short;
}

// Records without the GIL. `recorded_ns` is the time now, and becomes the time when the record
// returned.
[[gnu::noinline]] int record_that_may_block(const CudaRuntime& cuda, const Event& event,
                                            const Lane& lane, bool is_plain, int64_t& recorded_ns) {
  const ScopedGilRelease meanwhile;
  const int status = record_event(cuda, event.handle, lane.place, is_plain);
  // Other threads may work while this thread waits for the GIL, so the wait counts as age.
  t_slow_record = {recorded_ns, cuda.host_now_ns()};
  recorded_ns = t_slow_record.returned_ns;
  return status;
}

}  // namespace

// Sets the status of a scope whose stream captures, or whose stream cannot be asked. A scope that
// begins in a capture may become part of the graph.
[[gnu::cold]] void Recorder::refuse(const CudaRuntime& cuda, CaptureState capture, int status,
                                    const Lane& lane, OpenScope& scope) noexcept {
  if (capture != CaptureState::kCapturing) {
    note_failure(cuda, "cudaStreamIsCapturing", status);
    scope.status = Status::kFailed;
    return;
  }
  scope.status = Status::kCaptured;
  if (scope.begin_event == nullptr && graphs_.is_on()) {
    graphs_.begin(cuda, lane.place, scope.in_graph, scope.shares_boundary);
  }
}

[[gnu::always_inline]] inline Event* Recorder::record_boundary(const CudaRuntime& cuda,
                                                               ThreadBoundary& last, int64_t now_ns,
                                                               Lane& lane, OpenScope& scope,
                                                               bool is_plain) {
  int status = cuda::kSuccess;
  const CaptureState capture = capture_state(cuda, lane.place, status);
  if (capture != CaptureState::kNone) {
    refuse(cuda, capture, status, lane, scope);
    return nullptr;
  }
  const bool is_begin = scope.begin_event == nullptr;
  bool may_block =
      has_aged(lane.caught_up_ns.load(std::memory_order_relaxed), now_ns, kQueueFillNs) &&
      !has_short_queue(cuda, last, lane, now_ns);
  Event* event = lane.take(is_begin);
  if (event == nullptr) {
    event = find_event(cuda, now_ns, lane, scope);
    if (event == nullptr) {
      return nullptr;
    }
    may_block = true;  // finding an event may have taken long
  }
  int64_t recorded_ns = now_ns;
  if (may_block) {
    status = record_that_may_block(cuda, *event, lane, is_plain, recorded_ns);
  } else {
    status = record_event(cuda, event->handle, lane.place, is_plain);
  }
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaEventRecord", status);
    lane.release(event, is_begin);
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

[[gnu::noinline]] Event* Recorder::record_boundary_elsewhere(const CudaRuntime& cuda,
                                                             ThreadBoundary& last, int64_t now_ns,
                                                             Lane& lane, OpenScope& scope) {
  const ScopedContext guard(cuda, lane.place.device);
  if (!guard.holds()) {
    scope.status = Status::kFailed;
    return nullptr;
  }
  return record_boundary(cuda, last, now_ns, lane, scope, false);
}

// Sharing an event asks nothing about captures, because it records nothing. The event itself was
// recorded outside a capture, less than the share window ago. cudaStreamBeginCapture takes longer
// than the window, so this thread cannot have begun a capture meanwhile. Another thread could have.
// Then the scope's time is still right, as the event lies before all work in the capture, and the
// scope's other boundary finds the capture when it records.
[[gnu::hot]] Event* Recorder::boundary(const CudaRuntime& cuda, ThreadBoundary& last,
                                       int64_t now_ns, Lane& lane, OpenScope& scope) {
  const bool is_begin = scope.begin_event == nullptr;
  // An end never shares the scope's own begin, as the device time would be 0. It shares no record
  // of a thread other than the one that began the scope, as that may lie before the begin. A shared
  // event does not renew the window, as a chain could stretch the window without limit.
  if (last.outside_ns < share_window_ns_.load(std::memory_order_relaxed) && last.lane == &lane &&
      last.event != scope.begin_event && (is_begin || scope.begun_by == last.thread) &&
      now_ns - last.recorded_ns < kMaxLoanAgeNs && lane.borrow(last.event, last.serial, is_begin)) {
    scope.shares_boundary = true;
    return last.event;
  }
  return is_plain_to_driver(cuda, lane.place)
             ? record_boundary(cuda, last, now_ns, lane, scope, true)
             : record_boundary_elsewhere(cuda, last, now_ns, lane, scope);
}

[[gnu::cold]] Event* Recorder::find_event(const CudaRuntime& cuda, int64_t now_ns, Lane& lane,
                                          OpenScope& scope) noexcept {
  const bool is_begin = scope.begin_event == nullptr;
  if (is_begin && lane.booked() == Lane::kMaxScopes) {
    resolve(cuda, lane, Lane::kMaxScopes, now_ns);
    if (lane.booked() == Lane::kMaxScopes) {
      scope.status = Status::kDropped;
      return nullptr;
    }
  }
  int status = cuda::kSuccess;
  Event* event = lane.take(is_begin);
  if (event == nullptr && lane.refill(cuda, status)) {
    event = lane.take(is_begin);
  }
  if (event == nullptr && status == cuda::kSuccess) {
    // The pool has reached its bound. Other lanes may have events that are done, or spare ones.
    poll();
    each_lane([](Lane& other) { other.return_spare_to_pool(); });
    lane.refill(cuda, status);
    event = lane.take(is_begin);
  }
  if (event == nullptr) {
    // A failure is noted where it happens. Without a failure, the bound is reached.
    scope.status = status == cuda::kSuccess ? Status::kDropped : Status::kFailed;
    return nullptr;
  }
  // Reading may have released the GIL, so another thread may have begun a capture.
  const CaptureState capture = capture_state(cuda, lane.place, status);
  if (capture != CaptureState::kNone) {
    lane.release(event, is_begin);
    refuse(cuda, capture, status, lane, scope);
    return nullptr;
  }
  return event;
}

}  // namespace fasttime
