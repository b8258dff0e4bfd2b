// SPDX-License-Identifier: BSD-3-Clause
#include "core/resolver.h"

#include "host/host_clock.h"

namespace fasttime {
namespace {

// Looks cost a reading each, so they are kept apart by this much on each lane.
constexpr int64_t kLookAgeNs = 500'000;

// Backlog at the scope's end: when the device reached its end event, less when the host recorded
// it. Called before the event goes back to its pool.
void look_at_backlog(const CudaRuntime& cuda, DeviceClock& clock, const Pending& pending,
                     Sample& sample) noexcept {
  PlacedMoment reached;
  if (!clock.place(cuda, pending.end->handle, reached)) {
    return;
  }
  sample.backlog_ns = reached.host_ns - pending.host_end_ns;
  const double threshold_ns = backlog_threshold_ns(sample.device_ns);
  if (static_cast<double>(sample.backlog_ns + reached.uncertainty_ns) <= threshold_ns) {
    sample.backlog = Backlog::kNear;
  } else if (static_cast<double>(sample.backlog_ns - reached.uncertainty_ns) > threshold_ns) {
    sample.backlog = Backlog::kAbove;
  } else {
    sample.backlog = Backlog::kBetween;
  }
}

// While the driver is asked for one scope, what the next needs is on its way.
void prefetch(const Pending& next, const Pending& now, const StatisticsTable& statistics) noexcept {
  __builtin_prefetch(next.begin, 1);
  __builtin_prefetch(next.end, 1);
  if (next.site != now.site) {
    statistics.prefetch(next.site);
  }
}

Sample sample_of(const Pending& pending) noexcept {
  Sample sample;
  sample.site = pending.site;
  sample.epoch = pending.epoch;
  sample.status = pending.status;
  sample.shares_boundary = pending.shares_boundary;
  sample.host_begin_ns = pending.host_begin_ns;
  sample.host_ns = pending.host_end_ns - pending.host_begin_ns;
  return sample;
}

Span span_of(const Pending& pending, const Sample& sample, const Place& place) noexcept {
  Span span;
  span.host_begin_ns = pending.host_begin_ns;
  span.host_end_ns = pending.host_end_ns;
  span.thread = pending.thread;
  span.stream = place.stream;
  span.device = place.device;
  span.device_ns = sample.device_ns;
  span.site = sample.site;
  span.status = sample.status;
  span.shares_boundary = sample.shares_boundary;
  return span;
}

// Called before the events go back to their pool. False: the clock is taken, try later.
bool keep_span(const CudaRuntime& cuda, DeviceClock& clock, const Pending& pending,
               const Sample& sample, const Place& place, SpanStore& spans) noexcept {
  Span span = span_of(pending, sample, place);
  AnchorPoint anchor;
  if (sample.status == Status::kOk) {
    bool is_busy = false;
    anchor = clock.measure(cuda, pending.begin->handle, span.after_anchor_ns, is_busy);
    if (is_busy) {
      return false;
    }
    span.anchor = anchor.number;
  }
  spans.add(span, anchor);
  return true;
}

}  // namespace

[[gnu::hot]] void resolve_ready(const CudaRuntime& cuda, Lane& lane, DeviceClock& clock,
                                StatisticsTable& statistics, SpanStore& spans, size_t limit,
                                int64_t now_ns) noexcept {
  if (!lane.try_start_reading()) {
    return;
  }
  lane.last_poll_ns.store(now_ns, std::memory_order_relaxed);
  clock.renew(cuda, lane.place.device, now_ns);
  // Read, and still to be taken off: many at a time, as each time takes the lane's lock.
  size_t read = 0;
  int64_t caught_up_ns = lane.caught_up_ns.load(std::memory_order_relaxed);
  const auto pop = [&](size_t count, bool events_are_done) noexcept {
    lane.caught_up_ns.store(caught_up_ns, std::memory_order_relaxed);
    lane.pop(count, events_are_done);
    read -= count;
  };
  bool look = has_aged(lane.last_look_ns.load(std::memory_order_relaxed), now_ns, kLookAgeNs);
  for (size_t done = 0; done < limit; ++done) {
    const Pending* pending = lane.oldest(read);
    if (pending == nullptr) {
      break;
    }
    if (const Pending* next = lane.oldest(read + 1)) {
      prefetch(*next, *pending, statistics);
    }
    // A scope without an end event waits for its begin: an event compared with itself says
    // whether it is done.
    void* begin = pending->begin->handle;
    void* end = pending->end != nullptr ? pending->end->handle : begin;
    float elapsed_ms = 0;
    const int status = elapsed_time(cuda, &elapsed_ms, begin, end);
    if (status == cuda::kNotReady) {
      break;
    }
    Sample sample = sample_of(*pending);
    if (is_captured_event(status)) {
      // A capture began between our look at the stream and the record, which then became a
      // dependency in a graph: the event has no time, while the capture lasts and afterwards.
      sample.status = Status::kCaptured;
    } else if (status != cuda::kSuccess) {
      note_failure(cuda, "cudaEventElapsedTime", status);
      sample.status = Status::kFailed;
    } else if (sample.status == Status::kOk) {
      sample.device_ns = whole_ns(elapsed_ms);
      if (look) {
        look_at_backlog(cuda, clock, *pending, sample);
        lane.last_look_ns.store(now_ns, std::memory_order_relaxed);
        look = false;
      }
    }
    if (spans.is_on() && !keep_span(cuda, clock, *pending, sample, lane.place, spans)) {
      break;
    }
    const bool is_done = status == cuda::kSuccess;
    if (is_done && pending->end != nullptr) {
      // A begin tells nothing: its host time is taken after the record and a wait for the GIL,
      // in which others may have filled the queue.
      caught_up_ns = pending->host_end_ns;
    }
    statistics.add(sample);
    ++read;
    if (!is_done) {
      pop(read - 1, true);
      pop(1, false);
    } else if (read == Lane::kMaxPop) {
      pop(read, true);
    }
  }
  pop(read, true);
  lane.stop_reading();
}

void give_up_pending(Lane& lane, StatisticsTable& statistics, SpanStore& spans) noexcept {
  if (!lane.try_start_reading()) {
    return;
  }
  while (const Pending* pending = lane.oldest()) {
    Sample sample = sample_of(*pending);
    if (sample.status == Status::kOk) {
      sample.status = Status::kFailed;
    }
    statistics.add(sample);
    spans.add(span_of(*pending, sample, lane.place), {});
    lane.pop();
  }
  lane.stop_reading();
}

}  // namespace fasttime
