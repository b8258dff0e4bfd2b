// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "cuda_runtime.h"

namespace fasttime {

// A stream and the device it belongs to.
struct Place {
  int device = -1;
  void* stream = nullptr;
};

// Where torch would launch work on this thread now: its current device and that device's current
// stream. `stream` null is CUDA's legacy default stream, which is torch's default. Calls no driver
// function that could wait. False after noting the failure; `place` is then left as it was.
bool current_place(const CudaRuntime& cuda, Place& place) noexcept;

// What is known of a stream's capture, asked of the stream that is about to be recorded on. A plain
// record inside a capture would become a graph dependency without a time, and one on the NULL
// stream while a blocking stream captures would destroy that capture.
enum class CaptureState { kNone, kCapturing, kUnknown };

// Never disturbs a capture and leaves no last error. On kUnknown `status` says why.
CaptureState capture_state(const CudaRuntime& cuda, void* stream, int& status) noexcept;

}  // namespace fasttime
