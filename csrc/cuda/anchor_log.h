// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace fasttime {

// A moment on the device, given on the host's clock, and its possible error.
struct PlacedMoment {
  int64_t host_ns = 0;
  int64_t uncertainty_ns = 0;
};

// A moment whose time is known on both clocks, with what was known about the clocks at that time. A
// self-contained value: it can place every moment back to the previous anchor.
struct AnchorPoint {
  uint32_t number = 0;  // counts the anchors of a device from 1; 0: no anchor
  int64_t host_ns = 0;  // the middle of its bracket
  int64_t bracket_ns = 0;
  // The previous anchor. since_previous_ns is 0 if the two could not be compared.
  int64_t previous_host_ns = 0;
  int64_t previous_bracket_ns = 0;
  double since_previous_ns = 0;  // on the device's clock
  double rate = 1.0;             // host nanoseconds per device nanosecond
  double rate_error = 0;
};

// Half a step of a float, relative to its value: the rounding of an elapsed time in milliseconds.
constexpr double kElapsedRounding = 1.0 / (1 << 24);

// Places a moment `after_ns` device nanoseconds after the anchor (before it if negative), by this
// anchor alone. Between the previous anchor and this one it interpolates; elsewhere it uses the
// rate.
PlacedMoment place_by(const AnchorPoint& anchor, double after_ns) noexcept;

// The anchors of one device that spans refer to. Not thread-safe.
class AnchorLog {
 public:
  // Keeps the anchor if it is new. May throw std::bad_alloc, and then keeps the old ones.
  void add(const AnchorPoint& anchor);

  // Places a moment `after_ns` device nanoseconds after anchor `number`, which must have been
  // added. Interpolates between the anchors on both sides of the moment, however far they are from
  // anchor `number`, so it does not have to guess rate or drift. Before the first and after the
  // last known anchor it uses that anchor's rate.
  PlacedMoment place(uint32_t number, double after_ns) const noexcept;

 private:
  std::vector<AnchorPoint> anchors_;  // by number
};

}  // namespace fasttime
