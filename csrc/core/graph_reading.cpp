// SPDX-License-Identifier: BSD-3-Clause
// Turns passes of stamps in graphs into samples, without a call to CUDA.
#include <algorithm>
#include <array>
#include <mutex>
#include <new>

#include "core/graph_scopes.h"
#include "core/sample.h"
#include "cuda/contexts.h"

namespace fasttime {

void GraphScopes::read(StatisticsTable& statistics, SpanStore& spans, uint32_t epoch, size_t limit,
                       int64_t now_ns) noexcept {
  if (!has_scopes() || !reading_.try_lock()) {
    return;
  }
  const std::lock_guard<SpinLock> hold(reading_, std::adopt_lock);
  accept_arriving();
  // In turns, so that a limit leaves no scope out for long. A scope that has nothing counts too.
  size_t left = limit;
  for (size_t seen = 0; seen < scopes_.size() && left > 0; ++seen) {
    turn_ = turn_ + 1 < scopes_.size() ? turn_ + 1 : 0;
    GraphScope& scope = scopes_[turn_];
    do {
      --left;
    } while (read_one(scope, statistics, spans, epoch) && left > 0);
  }
  if (left > 0) {
    drop_finished(now_ns);
  }
}

void GraphScopes::drop_finished(int64_t now_ns) noexcept {
  const auto is_finished = [&](const GraphScope& scope) {
    const bool is_gone = scope.life->has_rested(now_ns);
    if (is_gone) {
      drop(scope);
    }
    return is_gone;
  };
  scopes_.erase(std::remove_if(scopes_.begin(), scopes_.end(), is_finished), scopes_.end());
  const std::lock_guard<SpinLock> arrive(arriving_lock_);
  has_scopes_.store(!scopes_.empty() || !arriving_.empty(), std::memory_order_relaxed);
}

void GraphScopes::accept_arriving() noexcept {
  const std::lock_guard<SpinLock> arrive(arriving_lock_);
  try {
    scopes_.insert(scopes_.end(), arriving_.begin(), arriving_.end());
    arriving_.clear();
  } catch (const std::bad_alloc&) {  // the next reading tries again
  }
}

// The begin is written before the end, but in memory it may arrive later.
GraphScopes::Next GraphScopes::next(GraphScope& scope, StampRing::Pass& begin, StampRing::Pass& end,
                                    uint64_t& lost) noexcept {
  switch (scope.end->read(scope.next, end)) {
    case StampRing::Answer::kNotYet:
      return Next::kNothing;
    case StampRing::Answer::kOverwritten: {
      // The ring holds the newest `depth` passes. Whether the pass before them was alone is
      // unknown, so the oldest of them will count as lost, too.
      const uint64_t oldest = end.newest + 1 - scope.end->depth;
      lost = oldest - scope.next;
      scope.next = oldest;
      scope.was_alone = false;
      return Next::kLost;
    }
    case StampRing::Answer::kThere:
      break;
  }
  const StampRing::Answer begun = scope.begin->read(scope.next, begin);
  if (begun == StampRing::Answer::kNotYet) {
    return Next::kNothing;
  }
  const bool is_whole = begun == StampRing::Answer::kThere && end.is_alone && scope.was_alone;
  scope.was_alone = end.is_alone;
  ++scope.next;
  lost = 1;
  return is_whole ? Next::kSample : Next::kLost;
}

bool GraphScopes::read_one(GraphScope& scope, StatisticsTable& statistics, SpanStore& spans,
                           uint32_t epoch) noexcept {
  StampRing::Pass begin;
  StampRing::Pass end;
  uint64_t lost = 0;
  const Next found = next(scope, begin, end, lost);
  if (found == Next::kNothing) {
    return false;
  }
  if (found == Next::kLost) {
    statistics.add_lost(scope.site, epoch, lost);
    return true;
  }
  PlacedMoment moment;
  const bool is_placed = scope.stamps->place(begin.time, moment);
  Sample sample;
  sample.site = scope.site;
  sample.epoch = epoch;
  sample.shares_boundary = scope.shares_boundary;
  sample.host_begin_ns = moment.host_ns;
  sample.host_ns = kNoHostTime;
  sample.device_ns = static_cast<double>(stamp_difference(begin.time, end.time));
  statistics.add(sample);
  if (spans.is_on() && is_placed) {
    Span span;
    span.host_begin_ns = moment.host_ns;
    span.host_end_ns = moment.host_ns + kNoHostTime;
    span.thread = scope.thread;
    span.stream = scope.place.stream;
    span.device = scope.place.device;
    span.device_ns = sample.device_ns;
    span.site = scope.site;
    span.shares_boundary = scope.shares_boundary;
    span.anchor = Span::kOnHostClock;
    span.after_anchor_ns = static_cast<double>(moment.host_ns);
    span.uncertainty_ns = static_cast<float>(moment.uncertainty_ns);
    spans.add(span, {});
  }
  return true;
}

void GraphScopes::drop(const GraphScope& scope) noexcept {
  for (StampRing* ring : {scope.begin, scope.end}) {
    ring->readers.fetch_sub(1, std::memory_order_release);
  }
}

void GraphScopes::release() noexcept {
  const std::lock_guard<SpinLock> hold(reading_);
  const std::lock_guard<SpinLock> arrive(arriving_lock_);
  for (auto* scopes : {&scopes_, &arriving_}) {
    for (const GraphScope& scope : *scopes) {
      drop(scope);
    }
    scopes->clear();
  }
  has_scopes_.store(false, std::memory_order_relaxed);
}

void GraphScopes::renew_clocks(const CudaRuntime& cuda, bool at_once) noexcept {
  if (!has_scopes() || !reading_.try_lock()) {
    return;
  }
  std::array<GraphStamps*, kMaxDevices> devices{};
  {
    const std::lock_guard<SpinLock> hold(reading_, std::adopt_lock);
    accept_arriving();
    for (const GraphScope& scope : scopes_) {
      devices[static_cast<size_t>(scope.place.device)] = scope.stamps;
    }
  }
  for (size_t device = 0; device < devices.size(); ++device) {
    if (devices[device] != nullptr) {
      devices[device]->renew(cuda, static_cast<int>(device), at_once);
    }
  }
}

}  // namespace fasttime
