// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/sample.h"
#include "cuda/anchor_log.h"
#include "cuda/torch_streams.h"
#include "host/spin_lock.h"

namespace fasttime {

// One sample of a timeline. Its place on the device is stored relative to an anchor, and becomes
// host time only when the recording is over: by then the next anchor is known too.
struct Span {
  // As anchor: after_anchor_ns is the begin on the device, placed on the host's clock already.
  static constexpr uint32_t kOnHostClock = UINT32_MAX;

  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;   // host_begin_ns + kNoHostTime if it was never ended, or is a replay's
  uint32_t thread = 0;       // thread_number() of the thread that began the scope
  float uncertainty_ns = 0;  // with kOnHostClock
  void* stream = nullptr;
  double after_anchor_ns = 0;  // from the anchor to the begin, on the device's clock
  double device_ns = 0;
  uint32_t anchor = 0;  // 0: its place on the device is unknown
  uint32_t site = 0;
  int32_t device = -1;  // -1: on no device
  Status status = Status::kOk;
  bool shares_boundary = false;
};

// Keeps the spans of one interval while a timeline is recorded; otherwise does nothing.
// Thread-safe. Waits only for its spin lock.
//
// Bounded: beyond the limit it counts new spans without keeping them. The beginning of the timeline
// is then complete, with every child. Dropping the oldest spans would leave holes everywhere.
class SpanStore {
 public:
  // Starts to keep scopes that begin at `from_ns` or later. False if it has started already.
  bool start(size_t limit, int64_t from_ns) noexcept;
  // Stops keeping scopes that end later than `until_ns`.
  void close(int64_t until_ns) noexcept;
  // Ends the recording and moves the kept spans out.
  class Taken;
  Taken take() noexcept;

  // Whether a timeline is being recorded. One relaxed load.
  bool is_on() const noexcept { return is_on_.load(std::memory_order_relaxed); }

  // Keeps a span if it lies in the interval. `anchor` is the anchor that the span refers to; its
  // number is 0 if there is none.
  void add(const Span& span, const AnchorPoint& anchor) noexcept;
  // Keeps an anchor that may help to place earlier spans.
  void note_anchor(int device, const AnchorPoint& anchor) noexcept;

 private:
  static constexpr size_t kBlock = 1024;
  using Block = std::array<Span, kBlock>;

  void note_anchor_locked(int device, const AnchorPoint& anchor);

  std::atomic<bool> is_on_{false};
  SpinLock lock_;  // guards everything below; held to add one span, or to swap all of them out
  std::vector<std::unique_ptr<Block>> blocks_;  // spans never move
  size_t count_ = 0;
  size_t limit_ = 0;
  uint64_t dropped_ = 0;
  int64_t from_ns_ = 0;
  int64_t until_ns_ = 0;
  std::vector<AnchorLog> anchors_;  // by device
};

// The spans of a recording, in their original blocks: copying a million spans would take 64 MB.
class SpanStore::Taken {
 public:
  uint64_t dropped = 0;
  int64_t from_ns = 0;
  int64_t until_ns = 0;

  size_t size() const noexcept { return count_; }
  const Span& operator[](size_t index) const noexcept {
    return (*blocks_[index / kBlock])[index % kBlock];
  }
  // When a span began and ended on its device. Only valid for a span with an anchor.
  PlacedMoment device_begin(const Span& span) const noexcept { return place(span, 0); }
  PlacedMoment device_end(const Span& span) const noexcept { return place(span, span.device_ns); }

 private:
  friend class SpanStore;

  PlacedMoment place(const Span& span, double later_ns) const noexcept;

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<AnchorLog> anchors_;
  size_t count_ = 0;
};

}  // namespace fasttime
