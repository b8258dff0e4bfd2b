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
// or `limit` are done. Reads by cudaEventElapsedTime alone, which waits for nothing and disturbs no
// capture. Returns at once where another thread is reading this lane. Thread-safe.
//
// The first scope that a call resolves also says how far the device was behind when the host left
// it: one such look a call, for one more reading. `now_ns` is the caller's reading of the host
// clock.
//
// Where a timeline is recorded every scope is placed on the device's clock too, for one more
// reading each; where that clock is taken for longer than a moment the rest stays pending.
void resolve_ready(const CudaRuntime& cuda, Lane& lane, DeviceClock& clock,
                   StatisticsTable& statistics, SpanStore& spans, size_t limit,
                   int64_t now_ns) noexcept;

// Makes failed samples of all that is pending on `lane`, without a call to CUDA: for when the
// device is lost.
void give_up_pending(Lane& lane, StatisticsTable& statistics, SpanStore& spans) noexcept;

}  // namespace fasttime
