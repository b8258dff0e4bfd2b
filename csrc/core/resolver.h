// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/lane.h"
#include "core/span_store.h"
#include "core/statistics.h"
#include "cuda/cuda_runtime.h"
#include "cuda/device_clock.h"

namespace fasttime {

// Turns pending scopes of `lane` into samples, oldest first, until the device has not reached one
// or `limit` are done. Thread-safe. Reads with cudaEventElapsedTime alone, which never waits and
// disturbs no capture. Returns at once if another thread is reading this lane. May take an anchor,
// which releases the GIL for up to 30 us: see DeviceClock::renew().
//
// A reading may also check the backlog: how far the device was behind when the host left a scope. A
// check costs one more call. `now_ns` is the caller's reading of the host clock.
//
// While a timeline is recorded, each scope is also placed on the device's clock, for one more call.
// If another thread uses that clock for more than a moment, the remaining scopes stay pending.
void resolve_ready(const CudaRuntime& cuda, Lane& lane, DeviceClock& clock,
                   StatisticsTable& statistics, SpanStore& spans, size_t limit,
                   int64_t now_ns) noexcept;

// For scopes that are not on a lane's list (stream_groups.h): counts the sample of a scope whose
// device time is known, with a backlog check, and adds its span on `place` to the timeline.
// `status` is the device's answer, other than "not ready". False, with nothing counted, if another
// thread uses the clock.
bool count_answered(const CudaRuntime& cuda, const Pending& pending, int status, float elapsed_ms,
                    const Place& place, DeviceClock& clock, StatisticsTable& statistics,
                    SpanStore& spans) noexcept;
// The same for a scope whose device is lost, without a call to CUDA.
void count_failed(const Pending& pending, const Place& place, StatisticsTable& statistics,
                  SpanStore& spans) noexcept;

// Turns all pending scopes of `lane` into failed samples, without a call to CUDA. For a lost
// device.
void fail_pending(Lane& lane, StatisticsTable& statistics, SpanStore& spans) noexcept;

}  // namespace fasttime
