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

// One sample of a timeline. Where it lies on the device is said by an anchor, and turned into host
// time only when the recording is over: by then the anchor that came after it is known too.
struct Span {
  int64_t host_begin_ns = 0;
  int64_t host_end_ns = 0;  // host_begin_ns + kNoHostTime: it was never ended
  uint64_t thread = 0;      // as thread_number() has it: the one that began it
  void* stream = nullptr;
  double after_anchor_ns = 0;  // from the anchor to the begin on the device's clock
  double device_ns = 0;
  uint32_t anchor = 0;  // 0: nobody knows where it lies
  uint32_t site = 0;
  int32_t device = -1;  // -1: on no device
  Status status = Status::kOk;
  bool shares_boundary = false;
};

// Keeps the spans of one interval while a timeline is recorded; otherwise does nothing.
// Thread-safe.
//
// Bounded: past the limit the newest are not kept, but counted. A picture of the beginning is whole
// so, with every child there; to make room by dropping the oldest would leave holes all over it.
class SpanStore {
 public:
  // From now on keeps scopes that begin at `from_ns` or later. False where it is at it already.
  bool start(size_t limit, int64_t from_ns) noexcept;
  // Scopes that end later than `until_ns` are not kept.
  void close(int64_t until_ns) noexcept;
  // Ends the recording and hands over what it kept.
  class Taken;
  Taken take() noexcept;

  // Whether spans are worth making. One relaxed load.
  bool is_on() const noexcept { return is_on_.load(std::memory_order_relaxed); }

  // Keeps a span if it lies in the interval; `anchor` is the one it refers to, or has no number.
  void add(const Span& span, const AnchorPoint& anchor) noexcept;
  // Notes an anchor that may come after spans kept earlier.
  void note_anchor(int device, const AnchorPoint& anchor) noexcept;

 private:
  static constexpr size_t kBlock = 1024;
  using Block = std::array<Span, kBlock>;

  void note_anchor_locked(int device, const AnchorPoint& anchor);

  std::atomic<bool> is_on_{false};
  SpinLock lock_;  // guards everything below; held for one span, or to swap all of them out
  std::vector<std::unique_ptr<Block>> blocks_;  // never moved while they fill
  size_t count_ = 0;
  size_t limit_ = 0;
  uint64_t dropped_ = 0;
  int64_t from_ns_ = 0;
  int64_t until_ns_ = 0;
  std::vector<AnchorLog> anchors_;  // by device
};

// What was kept, as it was kept: a million spans are 64 MB, and nothing is gained by a copy.
class SpanStore::Taken {
 public:
  uint64_t dropped = 0;
  int64_t from_ns = 0;
  int64_t until_ns = 0;

  size_t size() const noexcept { return count_; }
  const Span& operator[](size_t index) const noexcept {
    return (*blocks_[index / kBlock])[index % kBlock];
  }
  // Where a span lies on its device; nowhere without an anchor.
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
