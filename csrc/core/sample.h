// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace fasttime {

// How a scope was timed. Every ended scope yields one sample, and every sample has a status.
enum class Status : uint8_t {
  kOk,        // host and device time
  kHostOnly,  // the process did not use CUDA, or this device, when the scope began
  kDropped,   // there was no room for the scope, or it was never ended
  kCaptured,  // its stream was capturing a graph when it began or ended
  kFailed,    // a CUDA call failed
};
constexpr int kStatusCount = 5;

// How far the device was behind when the host left a scope.
enum class Backlog : uint8_t {
  kNotChecked,
  kNear,     // hardly at all: the device was waiting for the host
  kAbove,    // clearly: the host was ahead
  kBetween,  // in between, or the clocks are not precise enough
};

// A backlog above this counts: more than 20 us and more than 5 % of the scope. Launch latency and
// the length of the last kernel can explain anything smaller.
inline double backlog_threshold_ns(double scope_ns) noexcept {
  return std::max(20e3, 0.05 * scope_ns);
}

// Converts the answer of cudaEventElapsedTime to whole nanoseconds. From 16 ms on, a float of
// milliseconds resolves no less; below that, fractions of a nanosecond are rounding, not device
// time.
inline double whole_ns(float elapsed_ms) noexcept {
  const double ns = std::clamp(static_cast<double>(elapsed_ms) * 1e6, -1e18, 1e18);
  return static_cast<double>(static_cast<int64_t>(ns + (ns < 0 ? -0.5 : 0.5)));
}

// The host time of a scope that was never ended.
constexpr int64_t kNoHostTime = -1;

struct Sample {
  uint32_t site = 0;
  uint32_t epoch = 0;  // the recorder's epoch when the scope began
  Status status = Status::kOk;
  bool shares_boundary = false;
  int64_t host_begin_ns = 0;
  int64_t host_ns = 0;
  double device_ns = 0;  // a whole number; valid only if status is kOk
  Backlog backlog = Backlog::kNotChecked;
  int64_t backlog_ns = 0;
};

}  // namespace fasttime
