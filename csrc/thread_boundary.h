// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "lane.h"
#include "torch_streams.h"

namespace fasttime {

// The boundary that this thread recorded last, and where. One event can serve two boundaries
// between which nothing can have reached the stream. What counts is the time that was not spent in
// here: our own calls put nothing on a stream. Fills one cache line.
struct alignas(64) ThreadBoundary {
  Lane* lane = nullptr;  // valid while a recorder of this life exists
  uint64_t life = 0;
  Place place;
  Event* event = nullptr;
  int64_t recorded_ns = 0;  // no later than the record's return, but for a wait for the GIL
  int64_t left_ns = 0;      // when this thread was last let go from here
  int64_t outside_ns = 0;   // spent elsewhere since the record
  uint32_t serial = 0;

  void come_in(int64_t now_ns) noexcept { outside_ns += now_ns - left_ns; }
};

}  // namespace fasttime
