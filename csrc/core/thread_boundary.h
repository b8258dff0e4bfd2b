// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/lane.h"
#include "cuda/torch_streams.h"

namespace fasttime {

// The boundary that this thread recorded last, and where. One event can serve two boundaries
// between which nothing can have reached the stream. What counts is the time that was not spent in
// here: our own calls put nothing on a stream. Fills one cache line.
struct alignas(64) ThreadBoundary {
  Lane* lane = nullptr;  // valid while a recorder of this life exists
  Event* event = nullptr;
  Place place;
  int64_t recorded_ns = 0;  // no later than the record's return, but for a wait for the GIL
  int64_t left_ns = 0;      // when this thread was last let go from here
  int32_t outside_ns = 0;   // spent elsewhere since the record, or kLong
  uint32_t serial = 0;
  uint32_t life = 0;
  uint32_t thread = 0;  // its number, once it has begun a scope or a section

  // Longer than any window, and than any two of these can add up to too much.
  static constexpr int64_t kLong = 1'000'000'000;

  void enter_call(int64_t now_ns) noexcept {
    // Unsigned, so that a clock that has started anew counts as a long time.
    outside_ns = static_cast<int32_t>(
        std::min(static_cast<uint64_t>(outside_ns + (now_ns - left_ns)), uint64_t{kLong}));
    left_ns = now_ns;  // so that whoever comes in without going out was outside all the time
  }
};
static_assert(sizeof(ThreadBoundary) == 64, "one cache line");

}  // namespace fasttime
