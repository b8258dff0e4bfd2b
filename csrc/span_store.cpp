// SPDX-License-Identifier: BSD-3-Clause
#include "span_store.h"

#include <algorithm>
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

SpanStore::Taken SpanStore::take() {
  Taken taken;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<AnchorLog> anchors;
  size_t count = 0;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    is_on_.store(false, std::memory_order_relaxed);
    blocks.swap(blocks_);
    anchors.swap(anchors_);
    std::swap(count, count_);
    std::swap(taken.dropped, dropped_);
    taken.from_ns = from_ns_;
    taken.until_ns = until_ns_;
  }
  taken.spans.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    PlacedSpan placed;
    placed.span = (*blocks[i / kBlock])[i % kBlock];
    const Span& span = placed.span;
    if (span.anchor != 0) {
      const AnchorLog& log = anchors[static_cast<size_t>(span.device)];
      placed.is_placed = true;
      placed.device_begin = log.place(span.anchor, span.after_anchor_ns);
      placed.device_end = log.place(span.anchor, span.after_anchor_ns + span.device_ns);
    }
    taken.spans.push_back(placed);
  }
  return taken;
}

void SpanStore::add(const Span& span, const AnchorPoint& anchor) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (!is_on() || span.host_begin_ns < from_ns_ || span.host_end_ns > until_ns_) {
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
    } catch (const std::bad_alloc&) {  // then what came before it is placed less well
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
