// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "cuda_runtime.h"
#include "spin_lock.h"

namespace fasttime {

// A moment of the device on the host's clock, and by how much it may be off.
struct PlacedMoment {
  int64_t host_ns = 0;
  int64_t uncertainty_ns = 0;
};

// Places one device's event times on the host's clock. Thread-safe; where another thread is at it,
// callers are turned away rather than made to wait.
//
// An anchor is an event on an idle stream of our own, recorded between two reads of the host clock:
// it happened in that bracket, some 6 us wide. Finding out when it is done takes the one pause that
// recording code makes: at most kMaxBracketNs, at most once in kRenewNs, a hundred-thousandth of
// the time. Two anchors yield the ratio of the two clocks; until then they are taken to agree to
// kUnknownRate. Where anchors do not come back in time (a saturated device, one hardware queue)
// there is none, and what stands on it says that it does not know.
class DeviceClock {
 public:
  static constexpr int64_t kRenewNs = 1'000'000'000;
  static constexpr int64_t kFirstRenewNs = 100'000'000;
  static constexpr int64_t kMaxBracketNs = 15'000;
  static constexpr double kUnknownRate = 100e-6;

  // Makes the stream and the events. The device must be current. A failure leaves a clock that
  // never places anything.
  void prepare(const CudaRuntime& cuda) noexcept;

  // Takes a new anchor if the last has aged. `now_ns` is the caller's reading of the host clock.
  void renew(const CudaRuntime& cuda, int64_t now_ns) noexcept;

  // Places an event that is done. False where there is no anchor to place it by.
  bool place(const CudaRuntime& cuda, void* event, PlacedMoment& moment) noexcept;

 private:
  struct Anchor {
    void* event = nullptr;
    int64_t host_ns = 0;  // the middle of its bracket
    int64_t bracket_ns = 0;
  };

  void adopt(const CudaRuntime& cuda, const Anchor& next) noexcept;

  SpinLock
      lock_;  // guards everything below; taken by try_lock alone, as it is held over CUDA calls
  void* stream_ = nullptr;
  Anchor anchor_;
  void* spare_event_ = nullptr;
  bool spare_is_recorded_ = false;
  bool has_anchor_ = false;
  bool has_rate_ = false;
  double rate_ = 1.0;  // host nanoseconds per device nanosecond
  double rate_error_ = kUnknownRate;
  int64_t next_attempt_ns_ = 0;
};

}  // namespace fasttime
