// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// The host's monotonic time in nanoseconds, on the timeline of std::chrono::steady_clock (on Linux
// that of time.perf_counter too). Thread-safe, never waits.
//
// Where the processor's counter is known to run at one constant rate on every core (x86: invariant
// TSC that the kernel still lists as a clock source; Arm: cntvct), the counter is read instead of
// asking the kernel, which costs a third. The rate is learnt from steady_clock over the first 20 ms
// of the process; until then steady_clock itself answers. A rate learnt so is good to a few parts
// in a million, and does not follow later corrections of the system clock.
int64_t host_now_ns() noexcept;

// Whether `then_ns` is longer ago than `age_ns`. A moment ahead of now has aged too: after a
// suspension the counter may begin anew, and what was read before would not age for months.
inline bool has_aged(int64_t then_ns, int64_t now_ns, int64_t age_ns) noexcept {
  return static_cast<uint64_t>(now_ns - then_ns) > static_cast<uint64_t>(age_ns);
}

}  // namespace fasttime
