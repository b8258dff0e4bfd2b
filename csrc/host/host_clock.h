// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// The host's time in nanoseconds, on the timeline of std::chrono::steady_clock (on Linux also the
// timeline of time.perf_counter). Thread-safe, never waits.
//
// It reads the processor's counter if that is known to run at one constant rate on every core: on
// x86 an invariant TSC that the kernel still lists as a clock source, on Arm cntvct. It follows
// steady_clock to within a microsecond: see CounterClock. Otherwise it reads steady_clock.
int64_t host_now_ns() noexcept;

// Whether `then_ns` is longer ago than `age_ns`. Also true if `then_ns` lies ahead of now: after a
// suspension the counter may start anew, and older times would otherwise not age for months.
inline bool has_aged(int64_t then_ns, int64_t now_ns, int64_t age_ns) noexcept {
  return static_cast<uint64_t>(now_ns - then_ns) > static_cast<uint64_t>(age_ns);
}

}  // namespace fasttime
