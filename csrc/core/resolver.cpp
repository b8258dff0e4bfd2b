// SPDX-License-Identifier: BSD-3-Clause
#include "core/resolver.h"

#include "host/host_clock.h"

namespace fasttime {
namespace {

// A backlog check costs one more reading. Each lane makes one in this time; SiteStatistics says
// which other scopes get one, so that every site gets its share.
constexpr int64_t kCheckAgeNs = 500'000;

// Sets the backlog at the scope's end: the time at which the device reached the end event, minus
// the time at which the host recorded it. Must come before the event is released.
[[gnu::always_inline]] inline void check_backlog(const CudaRuntime& cuda, DeviceClock& clock,
                                                 const Pending& pending, Sample& sample) noexcept {
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

// Fetches what the next scope needs into the cache while the driver answers for this one.
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
  span.thread = static_cast<uint32_t>(pending.thread);
  span.stream = place.stream;
  span.device = place.device;
  span.device_ns = sample.device_ns;
  span.site = sample.site;
  span.status = sample.status;
  span.shares_boundary = sample.shares_boundary;
  return span;
}

// Adds the scope to the timeline. Must come before its events are released. False, with nothing
// added, if another thread is using the clock.
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

// What a pending scope says once the device has answered for it.
[[gnu::always_inline]] inline Sample answered(const CudaRuntime& cuda, const Pending& pending,
                                              int status, float elapsed_ms) noexcept {
  Sample sample = sample_of(pending);
  if (is_captured_event(status)) {
    // A capture began between the question about the stream and the record. The record became a
    // dependency in a graph, so the event never gets a time.
    sample.status = Status::kCaptured;
  } else if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaEventElapsedTime", status);
    sample.status = Status::kFailed;
  } else if (sample.status == Status::kOk) {
    sample.device_ns = whole_ns(elapsed_ms);
  }
  return sample;
}

// One reading of a lane, by the thread that has the right to read.
class Reading {
 public:
  Reading(const CudaRuntime& cuda, Lane& lane, DeviceClock& clock, StatisticsTable& statistics,
          SpanStore& spans, int64_t now_ns) noexcept
      : cuda_(cuda),
        lane_(lane),
        clock_(clock),
        statistics_(statistics),
        spans_(spans),
        now_ns_(now_ns),
        keep_(statistics.keep()),
        next_(lane.oldest()),
        check_is_due_(
            has_aged(lane.last_check_ns.load(std::memory_order_relaxed), now_ns, kCheckAgeNs)) {}

  // Turns the next pending scope into a sample. False if there is none, or it has to wait.
  bool resolve_next() noexcept {
    const Pending* pending = next_;
    if (pending == nullptr) {
      return false;
    }
    const Pending* following = lane_.oldest(read_ + 1);
    if (following != nullptr) {
      prefetch(*following, *pending, statistics_);
    }
    float elapsed_ms = 0;
    const int status = ask(*pending, elapsed_ms);
    if (status == cuda::kNotReady) {
      return false;
    }
    Sample sample = answered(cuda_, *pending, status, elapsed_ms);
    if (spans_.is_on() && pending->site != SiteTable::kRoot &&
        !keep_span(cuda_, clock_, *pending, sample, lane_.place, spans_)) {
      return false;
    }
    const bool is_done = status == cuda::kSuccess;
    if (is_done && pending->end != nullptr) {
      // The end only: the host time of a begin is taken after its record and a possible wait for
      // the GIL, during which other threads may have filled the queue.
      caught_up_ns_ = pending->host_end_ns;
    }
    add(*pending, sample);
    next_ = following;
    remove(is_done);
    return true;
  }

  // Takes the scopes that were read off the lane.
  void finish() noexcept { pop(read_, true); }

 private:
  // A scope without an end event only waits for its begin: comparing an event with itself tells
  // whether it is done.
  int ask(const Pending& pending, float& elapsed_ms) const noexcept {
    void* begin = pending.begin->handle;
    return elapsed_time(cuda_, &elapsed_ms, begin,
                        pending.end != nullptr ? pending.end->handle : begin);
  }

  // Checks the backlog if it is this scope's turn, and counts the sample.
  void add(const Pending& pending, Sample& sample) noexcept {
    SiteStatistics* const site = statistics_.at(sample.site);
    if (site == nullptr) {
      return;  // no memory
    }
    if (sample.status == Status::kOk && (check_is_due_ || site->wants_check(pending.host_end_ns))) {
      check_backlog(cuda_, clock_, pending, sample);
      lane_.last_check_ns.store(now_ns_, std::memory_order_relaxed);
      check_is_due_ = false;
    }
    statistics_.note(pending.nesting, sample);
    site->add(sample, keep_);
  }

  // Takes scopes off the lane many at a time, because each time takes the lane's lock.
  void remove(bool is_done) noexcept {
    ++read_;
    if (!is_done) {
      pop(read_ - 1, true);
      pop(1, false);
    } else if (read_ == Lane::kMaxPop) {
      pop(read_, true);
    }
  }

  void pop(size_t count, bool events_are_done) noexcept {
    // Recording may know a later moment. A moment in the future is of a clock that has started
    // anew.
    const int64_t known_ns = lane_.caught_up_ns.load(std::memory_order_relaxed);
    if (known_ns < caught_up_ns_ || known_ns > now_ns_) {
      lane_.caught_up_ns.store(caught_up_ns_, std::memory_order_relaxed);
    }
    lane_.pop(count, events_are_done);
    read_ -= count;
  }

  const CudaRuntime& cuda_;
  Lane& lane_;
  DeviceClock& clock_;
  StatisticsTable& statistics_;
  SpanStore& spans_;
  const int64_t now_ns_;
  const size_t keep_;
  size_t read_ = 0;           // scopes that were read and are still on the lane
  const Pending* next_;       // the scope to read next; null if there is none
  int64_t caught_up_ns_ = 0;  // the end of the last scope that was read
  bool check_is_due_;
};

}  // namespace

[[gnu::hot]] void resolve_ready(const CudaRuntime& cuda, Lane& lane, DeviceClock& clock,
                                StatisticsTable& statistics, SpanStore& spans, size_t limit,
                                int64_t now_ns) noexcept {
  if (!lane.try_start_reading()) {
    return;
  }
  lane.last_poll_ns.store(now_ns, std::memory_order_relaxed);
  clock.renew(cuda, lane.place.device, now_ns);
  Reading reading(cuda, lane, clock, statistics, spans, now_ns);
  for (size_t done = 0; done < limit && reading.resolve_next(); ++done) {
  }
  reading.finish();
  lane.stop_reading();
}

[[gnu::cold]] bool count_answered(const CudaRuntime& cuda, const Pending& pending, int status,
                                  float elapsed_ms, const Place& place, DeviceClock& clock,
                                  StatisticsTable& statistics, SpanStore& spans) noexcept {
  Sample sample = answered(cuda, pending, status, elapsed_ms);
  if (spans.is_on() && !keep_span(cuda, clock, pending, sample, place, spans)) {
    return false;
  }
  if (sample.status == Status::kOk) {
    check_backlog(cuda, clock, pending, sample);
  }
  statistics.add(sample, pending.nesting);
  return true;
}

void count_failed(const Pending& pending, const Place& place, StatisticsTable& statistics,
                  SpanStore& spans) noexcept {
  Sample sample = sample_of(pending);
  if (sample.status == Status::kOk) {
    sample.status = Status::kFailed;
  }
  statistics.add(sample, pending.nesting);
  spans.add(span_of(pending, sample, place), {});
}

void fail_pending(Lane& lane, StatisticsTable& statistics, SpanStore& spans) noexcept {
  if (!lane.try_start_reading()) {
    return;
  }
  while (const Pending* pending = lane.oldest()) {
    count_failed(*pending, lane.place, statistics, spans);
    lane.pop();
  }
  lane.stop_reading();
}

}  // namespace fasttime
