// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace fasttime {

// A moment of the device on the host's clock, and by how much it may be off.
struct PlacedMoment {
  int64_t host_ns = 0;
  int64_t uncertainty_ns = 0;
};

// One moment of which both clocks are known, and what was known when it was taken. A value, whole
// in itself: the stretch back to the anchor before it can be placed by this one alone.
struct AnchorPoint {
  uint32_t number = 0;  // one more with each anchor of a device; 0: none
  int64_t host_ns = 0;  // the middle of its bracket
  int64_t bracket_ns = 0;
  // The anchor before; a stretch of 0 device ns where the two could not be compared.
  int64_t previous_host_ns = 0;
  int64_t previous_bracket_ns = 0;
  double since_previous_ns = 0;  // on the device's clock
  double rate = 1.0;             // host nanoseconds per device nanosecond
  double rate_error = 0;
};

// Elapsed times come as a float of milliseconds: half a step of it, as a share of the time.
constexpr double kElapsedRounding = 1.0 / (1 << 24);

// Places a moment that many device ns after the anchor, or before it where negative, by this anchor
// alone: between the one before and this one by the two of them, elsewhere by the known rate.
PlacedMoment place_by(const AnchorPoint& anchor, double after_ns) noexcept;

// The anchors that some moments refer to. Not thread-safe.
class AnchorLog {
 public:
  // Keeps the anchor if it is not known yet. May throw std::bad_alloc, and is then unchanged.
  void add(const AnchorPoint& anchor);

  // Places a moment by the anchors on either side of it, however far they are from anchor `number`,
  // which must have been added: between two anchors neither rate nor drift is guessed. Before the
  // first and after the last of those that are known by that one's rate.
  PlacedMoment place(uint32_t number, double after_ns) const noexcept;

 private:
  std::vector<AnchorPoint> anchors_;  // by number
};

}  // namespace fasttime
