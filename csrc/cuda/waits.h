// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "cuda/cuda_runtime.h"
#include "cuda/torch_streams.h"

namespace fasttime {

// Waits for devices and streams. Nothing here is for the hot path. Thread-safe. The caller should
// not hold the GIL. Functions that wait return a CUDA status. A failure is noted.
//
// Waiting must spare the captures of other threads. On an H200, waiting for a stream destroys no
// capture if the waiting thread is in relaxed mode. cudaDeviceSynchronize() destroys every capture
// on the device in every mode. But only cudaDeviceSynchronize() sees the streams that libraries
// make for themselves. So a device without a known capture is waited for as a whole. On a device
// with a capture, only the known streams that do not capture are waited for. Captures on
// streams that torch does not own are unknown: a wait for the device destroys them.

// The devices that this process uses: every device whose primary context exists, in order. Only the
// current device if the driver cannot switch between contexts. May throw std::bad_alloc.
std::vector<int> devices_in_use(const CudaRuntime& cuda);

// Says which streams a device has, as far as torch knows, with its default stream.
void know_streams(int device, std::vector<void*> streams);
bool knows_streams(int device);
// Forgets all streams, because they belong to a simulation that has ended. The child of a fork need
// not forget them: it does not use CUDA.
void forget_streams() noexcept;

int wait_for_device(const CudaRuntime& cuda, int device);
int wait_for_stream(const CudaRuntime& cuda, const Place& place);

// What a stream answers to the question whether it has unfinished work.
enum class StreamWork { kNone, kUnfinished, kCapturing, kFailed };

// Asks a stream. Never waits, enqueues nothing, and leaves a stream that captures alone. The
// stream's device must be current, and the thread must be in relaxed capture mode, because the
// question destroys captures in other modes. A failure is noted.
StreamWork work_of(const CudaRuntime& cuda, const Place& place) noexcept;

// The known streams with unfinished work, except `done`. Never waits and spares all captures.
// Streams that capture are left out.
std::vector<Place> busy_streams(const CudaRuntime& cuda, const Place& done);

}  // namespace fasttime
