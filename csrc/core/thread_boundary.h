// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/lane.h"
#include "cuda/torch_streams.h"

namespace fasttime {

// The event that this thread recorded last, and where. Two boundaries can share one event if
// nothing can have reached the stream between them. Only time outside fasttime's own calls counts,
// because those calls put nothing on a stream. Fills one cache line.
struct alignas(64) ThreadBoundary {
  Lane* lane = nullptr;  // valid while the recorder with this `life` exists
  Event* event = nullptr;
  Place place;
  int64_t recorded_ns = 0;  // when the record began; when it returned, if the GIL was released
  int64_t left_ns = 0;      // when this thread last left fasttime
  int32_t outside_ns = 0;   // time spent outside fasttime since the record, kLong at most
  uint32_t serial = 0;
  uint32_t life = 0;
  uint32_t thread = 0;  // its thread_number(), once it has begun a scope or a phase

  // Longer than any window. Two of these still fit into outside_ns.
  static constexpr int64_t kLong = 1'000'000'000;

  void enter_call(int64_t now_ns) noexcept {
    // Unsigned, so that a clock that has started anew counts as a long time.
    outside_ns = static_cast<int32_t>(
        std::min(static_cast<uint64_t>(outside_ns + (now_ns - left_ns)), uint64_t{kLong}));
    left_ns = now_ns;  // if the thread enters again without leaving, all the time was outside
  }
};
static_assert(sizeof(ThreadBoundary) == 64, "one cache line");

}  // namespace fasttime
