// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/torch_streams.h"

namespace fasttime {

bool note_no_device(const CudaRuntime& cuda, int status) noexcept {
  note_runtime_failure(cuda, "cudaGetDevice", status);
  return false;
}

bool note_no_stream() noexcept {
  note_failure("torch could not say which CUDA stream is current");
  return false;
}

// The driver does not have the function or returned an error, such as 201 for the NULL stream on a
// thread without a context. Asks the runtime, which makes a context current by itself.
CaptureState capture_state_otherwise(const CudaRuntime& cuda, const Place& place,
                                     int& status) noexcept {
  if (cuda.driver_stream_is_capturing != nullptr && status == cuda::kStreamCaptureImplicit) {
    return CaptureState::kCapturing;
  }
  if (!is_started(cuda, place.device)) {
    return CaptureState::kNone;
  }
  const ScopedContext guard(cuda, place.device);
  int capturing = 0;
  status = cuda.stream_is_capturing(place.stream, &capturing);
  if (status == cuda::kSuccess) {
    return capturing == 0 ? CaptureState::kNone : CaptureState::kCapturing;
  }
  clear_own_error(cuda, status);
  return status == cuda::kStreamCaptureImplicit ? CaptureState::kCapturing : CaptureState::kUnknown;
}

int record_event_otherwise(const CudaRuntime& cuda, void* event, const Place& place) noexcept {
  const ScopedContext guard(cuda, place.device);
  return guard.holds() ? record_by_runtime(cuda, event, place.stream) : cuda::kInvalidContext;
}

}  // namespace fasttime
