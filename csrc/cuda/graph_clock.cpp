// SPDX-License-Identifier: BSD-3-Clause
// The timer of a device on the host's clock. An anchor is a stamp on an idle stream of fasttime,
// launched between two reads of the host's clock.
#include <cmath>
#include <mutex>

#include "cuda/contexts.h"
#include "cuda/device_clock.h"
#include "cuda/graph_stamps.h"
#include "host/host_clock.h"
#include "host/scoped_gil_release.h"

namespace fasttime {

void GraphStamps::renew(const CudaRuntime& cuda, int device, bool at_once) noexcept {
  if (!is_ready() || !clock_lock_.try_lock()) {
    return;
  }
  const std::lock_guard<SpinLock> hold(clock_lock_, std::adopt_lock);
  const int64_t now_ns = cuda.host_now_ns();
  StampRing::Pass pass;
  if ((!at_once && !has_aged(last_attempt_ns_, now_ns, kRenewNs)) ||
      // An earlier attempt may have ended before the device reached its stamp.
      (clock_passes_ > 0 &&
       clock_ring_.read(clock_passes_ - 1, pass) != StampRing::Answer::kThere)) {
    return;
  }
  last_attempt_ns_ = now_ns;
  const ScopedGilRelease meanwhile;
  const int64_t before_ns = cuda.host_now_ns();
  if (!launch(cuda, {device, stream_}, clock_ring_, clock_ring_, true)) {
    return;
  }
  ++clock_passes_;
  StampRing::Answer answer = StampRing::Answer::kNotYet;
  int64_t after_ns = before_ns;
  do {
    answer = clock_ring_.read(clock_passes_ - 1, pass);
    after_ns = cuda.host_now_ns();
  } while (answer != StampRing::Answer::kThere && after_ns > before_ns &&
           after_ns - before_ns < kMaxBracketNs);
  if (answer != StampRing::Answer::kThere) {
    return;
  }
  const int64_t bracket_ns = after_ns - before_ns;
  const auto since_ns = static_cast<double>(stamp_difference(anchor_time_, pass.time));
  // A bracket that is wider than the error of a prediction means that the thread was interrupted.
  if (anchor_.number == 0 || place_by(anchor_, since_ns).uncertainty_ns >= bracket_ns / 2) {
    adopt(before_ns + bracket_ns / 2, bracket_ns, pass.time);
  }
}

void GraphStamps::adopt(int64_t host_ns, int64_t bracket_ns, StampTime time) noexcept {
  AnchorPoint next;
  next.number = anchor_.number + 1;
  next.host_ns = host_ns;
  next.bracket_ns = bracket_ns;
  next.rate = anchor_.rate;
  next.rate_error = anchor_.number < 2 ? DeviceClock::kUnknownRate : anchor_.rate_error;
  const auto since_ns = static_cast<double>(stamp_difference(anchor_time_, time));
  if (anchor_.number != 0 && since_ns > 0) {
    next.previous_host_ns = anchor_.host_ns;
    next.previous_bracket_ns = anchor_.bracket_ns;
    next.since_previous_ns = since_ns;
    const double rate = static_cast<double>(host_ns - anchor_.host_ns) / since_ns;
    const double rate_error = static_cast<double>(bracket_ns + anchor_.bracket_ns) / since_ns;
    if (rate_error < 2 * next.rate_error && std::abs(rate - 1.0) < 1e-3) {
      next.rate = rate;
      next.rate_error = rate_error;
    }
  }
  anchor_ = next;
  anchor_time_ = time;
}

bool GraphStamps::place(StampTime time, PlacedMoment& moment) noexcept {
  if (!clock_lock_.try_lock()) {
    return false;
  }
  const std::lock_guard<SpinLock> hold(clock_lock_, std::adopt_lock);
  if (anchor_.number == 0) {
    return false;
  }
  moment = place_by(anchor_, static_cast<double>(stamp_difference(anchor_time_, time)));
  return true;
}

}  // namespace fasttime
