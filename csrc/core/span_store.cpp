// SPDX-License-Identifier: BSD-3-Clause
#include "core/span_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <new>

namespace fasttime {

bool SpanStore::start(size_t limit, int64_t from_ns) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (is_on()) {
    return false;
  }
  limit_ = limit;
  from_ns_ = from_ns;
  until_ns_ = std::numeric_limits<int64_t>::max();
  is_on_.store(true, std::memory_order_relaxed);
  return true;
}

void SpanStore::close(int64_t until_ns) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  until_ns_ = std::min(until_ns_, until_ns);
}

SpanStore::Taken SpanStore::take() noexcept {
  Taken taken;
  const std::lock_guard<SpinLock> hold(lock_);
  is_on_.store(false, std::memory_order_relaxed);
  taken.blocks_.swap(blocks_);
  taken.anchors_.swap(anchors_);
  std::swap(taken.count_, count_);
  std::swap(taken.dropped, dropped_);
  taken.from_ns = from_ns_;
  taken.until_ns = until_ns_;
  return taken;
}

PlacedMoment SpanStore::Taken::place(const Span& span, double later_ns) const noexcept {
  if (span.anchor == Span::kOnHostClock) {
    return {std::llround(span.after_anchor_ns + later_ns), std::llround(span.uncertainty_ns)};
  }
  return span.anchor == 0 ? PlacedMoment{}
                          : anchors_[static_cast<size_t>(span.device)].place(
                                span.anchor, span.after_anchor_ns + later_ns);
}

void SpanStore::add(const Span& span, const AnchorPoint& anchor) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  // The device may run a graph long after its replay was called, so its spans end the interval
  // late.
  const bool is_late = span.host_end_ns > until_ns_ && span.anchor != Span::kOnHostClock;
  if (!is_on() || span.host_begin_ns < from_ns_ || is_late) {
    return;
  }
  if (count_ == limit_) {
    ++dropped_;
    return;
  }
  try {
    if (anchor.number != 0) {
      note_anchor_locked(span.device, anchor);
    }
    if (count_ / kBlock == blocks_.size()) {
      blocks_.push_back(std::make_unique<Block>());
    }
    (*blocks_[count_ / kBlock])[count_ % kBlock] = span;
    ++count_;
  } catch (const std::bad_alloc&) {
    ++dropped_;
  }
}

void SpanStore::note_anchor(int device, const AnchorPoint& anchor) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (is_on()) {
    try {
      note_anchor_locked(device, anchor);
    } catch (const std::bad_alloc&) {  // earlier spans are then placed less precisely
    }
  }
}

void SpanStore::note_anchor_locked(int device, const AnchorPoint& anchor) {
  const auto index = static_cast<size_t>(device);
  if (index >= anchors_.size()) {
    anchors_.resize(index + 1);
  }
  anchors_[index].add(anchor);
}

}  // namespace fasttime
