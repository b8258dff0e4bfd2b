// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "cuda/anchor_log.h"
#include "cuda/cuda_runtime.h"
#include "host/spin_lock.h"

namespace fasttime {

// Places one device's event times on the host's clock. Thread-safe; where another thread is at it,
// callers are turned away rather than made to wait.
//
// An anchor is an event on an idle stream of our own, recorded between two reads of the host clock:
// it happened in that bracket, some 6 us wide, and wider on a device that has to wake up. Finding
// out when it is done takes the one pause that recording code makes: at most kMaxBracketNs, at most
// once in kRenewNs. Two anchors yield the ratio of the two clocks; until then they are taken to
// agree to kUnknownRate. Where anchors do not come back in time (a saturated device, one hardware
// queue) there is none, and what stands on it says that it does not know.
class DeviceClock {
 public:
  static constexpr int64_t kRenewNs = 1'000'000'000;
  static constexpr int64_t kFirstRenewNs = 100'000'000;
  static constexpr int64_t kMaxBracketNs = 30'000;
  static constexpr double kUnknownRate = 100e-6;

  // Makes the stream and the events. The device must be current. A failure leaves a clock that
  // never places anything.
  void prepare(const CudaRuntime& cuda) noexcept;

  // Takes a new anchor if the last has aged, or, `at_once`, however young that is. `device` is
  // whose clock this is, and need not be current; `now_ns` is the caller's reading of the host
  // clock. One that would place this moment less well than the last does is not kept.
  void renew(const CudaRuntime& cuda, int device, int64_t now_ns, bool at_once = false) noexcept;

  // Places an event that is done. False where there is no anchor to place it by.
  bool place(const CudaRuntime& cuda, void* event, PlacedMoment& moment) noexcept;

  // The newest anchor; without a number where there is none, or another thread is at the clock.
  AnchorPoint anchor() noexcept;
  // The same, with how long after it an event that is done happened on the device's clock. Where
  // another thread is at the clock for longer than a few reads take, `is_busy` says so.
  AnchorPoint measure(const CudaRuntime& cuda, void* event, double& after_ns,
                      bool& is_busy) noexcept;

 private:
  static constexpr int kPatience = 100;  // tries for the lock, some nanoseconds each

  // Goes on from anchor_ to the spare event, which happened in that bracket.
  void adopt(const CudaRuntime& cuda, int64_t host_ns, int64_t bracket_ns) noexcept;
  // How long after the anchor the event happened. The lock must be held, and an anchor be there.
  bool read(const CudaRuntime& cuda, void* event, double& after_ns) noexcept;

  // Guards everything below. Once the clock is prepared it is only tried, as it is held over CUDA
  // calls.
  SpinLock lock_;
  void* stream_ = nullptr;
  AnchorPoint anchor_;
  void* anchor_event_ = nullptr;
  void* spare_event_ = nullptr;
  bool spare_is_recorded_ = false;
  bool has_rate_ = false;
  int64_t last_attempt_ns_ = 0;
  int64_t rest_ns_ = 0;  // until the next
};

}  // namespace fasttime
