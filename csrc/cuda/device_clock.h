// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "cuda/anchor_log.h"
#include "cuda/cuda_runtime.h"
#include "host/spin_lock.h"

namespace fasttime {

// Places event times of one device on the host's clock. Thread-safe. A call that finds another
// thread using the clock returns without an answer instead of waiting.
//
// An anchor is an event on an idle stream of fasttime, recorded between two reads of the host
// clock. The event happened within this bracket, which is some 6 us wide, and wider if the device
// has to wake up. Polling until the event is done is the only pause in recording code: at most
// kMaxBracketNs, at most once per kRenewNs. Two anchors give the ratio of the two clocks. While the
// anchors are too close together for a precise ratio, the clocks are assumed to agree to
// kUnknownRate, and anchors are renewed every kFirstRenewNs. If the event is not done in time (a
// saturated device, one hardware queue), there is no anchor, and the results that need one are
// unknown.
class DeviceClock {
 public:
  static constexpr int64_t kRenewNs = 1'000'000'000;
  static constexpr int64_t kFirstRenewNs = 50'000'000;
  static constexpr int64_t kMaxBracketNs = 30'000;
  static constexpr double kUnknownRate = 100e-6;

  // Creates the stream and the events. The device must be current. After a failure, which is noted,
  // the clock never places anything.
  void prepare(const CudaRuntime& cuda) noexcept;

  // Takes a new anchor if the last one is old enough, or in any case with `at_once`. Releases the
  // GIL while it polls. `device` is the device of this clock and need not be current; `now_ns` is
  // the caller's reading of the host clock. A new anchor that is less precise than a prediction by
  // the last one is not kept.
  void renew(const CudaRuntime& cuda, int device, int64_t now_ns, bool at_once = false) noexcept;

  // Places an event that is done. False if there is no anchor or another thread uses the clock.
  bool place(const CudaRuntime& cuda, void* event, PlacedMoment& moment) noexcept;

  // The newest anchor. Its number is 0 if there is none or another thread uses the clock.
  AnchorPoint anchor() noexcept;
  // The newest anchor, and in `after_ns` how long after it an event that is done happened on the
  // device's clock. If another thread uses the clock for longer than about a microsecond, returns
  // with `is_busy` set.
  AnchorPoint measure(const CudaRuntime& cuda, void* event, double& after_ns,
                      bool& is_busy) noexcept;

 private:
  static constexpr int kMaxTries = 100;  // to take the lock, a few nanoseconds each

  static constexpr double kLongBaseNs = 0.9 * kRenewNs;

  // Sets the ratio of the clocks in the anchor that happened `device_ns` after the last one.
  void set_rate(AnchorPoint& next, double device_ns) noexcept;
  // Whether the ratio is measured over about kRenewNs.
  bool has_long_base() const noexcept { return since_base_ns_ > kLongBaseNs; }
  // Makes the spare event, which happened in that bracket, the new anchor.
  void adopt(const CudaRuntime& cuda, int64_t host_ns, int64_t bracket_ns) noexcept;
  // How long after the anchor the event happened. Needs the lock and an anchor.
  bool read(const CudaRuntime& cuda, void* event, double& after_ns) noexcept;

  // Guards everything below. Held across CUDA calls, so after prepare() threads only try it.
  SpinLock lock_;
  void* stream_ = nullptr;
  AnchorPoint anchor_;
  void* anchor_event_ = nullptr;
  void* spare_event_ = nullptr;
  bool spare_is_recorded_ = false;
  AnchorPoint base_;          // the anchor from which the ratio of the clocks is measured
  double since_base_ns_ = 0;  // on the device's clock, from base_ to anchor_
  int64_t last_attempt_ns_ = 0;
  int64_t rest_ns_ = 0;  // until the next attempt
};

}  // namespace fasttime
