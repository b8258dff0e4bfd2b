// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace fasttime {

// What became of a scope. Every ended scope yields one sample, and every sample says which.
enum class Status : uint8_t {
  kOk,        // host and device time
  kHostOnly,  // CUDA, or the current device, was not in use when it began
  kDropped,   // no room for it, or it was never ended
  kCaptured,  // its stream was capturing a graph when it began or ended
  kFailed,    // CUDA answered an error
};
constexpr int kStatusCount = 5;

// How far the device was behind when the host left a scope, where that was looked at.
enum class Backlog : uint8_t {
  kNotSampled,
  kNear,     // next to nothing: the device was waiting for the host
  kAbove,    // clearly there: the host was ahead
  kBetween,  // neither, or the clocks do not tell
};

// What counts as a backlog: more than 20 us, and more than 5 % of the scope. Below either, launch
// latency and the length of the last kernel alone can explain it.
inline double backlog_threshold_ns(double scope_ns) noexcept {
  return std::max(20e3, 0.05 * scope_ns);
}

// What cudaEventElapsedTime answers, in whole nanoseconds: a float of milliseconds holds no more
// from 16 ms on, and below that what is left of a nanosecond is the float's and not the device's.
inline double whole_ns(float elapsed_ms) noexcept {
  const double ns = std::clamp(static_cast<double>(elapsed_ms) * 1e6, -1e18, 1e18);
  return static_cast<double>(static_cast<int64_t>(ns + (ns < 0 ? -0.5 : 0.5)));
}

// The host time of a scope that was never ended.
constexpr int64_t kNoHostTime = -1;

struct Sample {
  uint32_t site = 0;
  uint32_t epoch = 0;  // of the recorder, at begin
  Status status = Status::kOk;
  bool shares_boundary = false;
  int64_t host_begin_ns = 0;
  int64_t host_ns = 0;
  double device_ns = 0;  // whole ones; meaningful only where status is kOk
  Backlog backlog = Backlog::kNotSampled;
  int64_t backlog_ns = 0;
};

}  // namespace fasttime
