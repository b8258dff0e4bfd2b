// SPDX-License-Identifier: BSD-3-Clause
#include "torch_streams.h"

namespace fasttime {

int current_place(const CudaRuntime& cuda, Place& place) noexcept {
  int device = 0;
  if (const int status = cuda.get_device(&device)) {
    clear_own_error(cuda, status);
    return status;
  }
  void* stream = nullptr;
  if (const int status = cuda.current_stream(device, &stream)) {
    return status;
  }
  place = {device, stream};
  return cuda::kSuccess;
}

CaptureState capture_state(const CudaRuntime& cuda, void* stream, int& status) noexcept {
  int capturing = 0;
  if (cuda.driver_stream_is_capturing != nullptr) {
    status = cuda.driver_stream_is_capturing(stream, &capturing);
    if (status == cuda::kSuccess) {
      return capturing == 0 ? CaptureState::kNone : CaptureState::kCapturing;
    }
    if (status == cuda::kStreamCaptureImplicit) {
      return CaptureState::kCapturing;
    }
    // Anything else, such as 201 for the NULL stream on a thread that has no context yet: the
    // runtime binds the context by itself, so it is asked next.
  }
  status = cuda.stream_is_capturing(stream, &capturing);
  if (status == cuda::kSuccess) {
    return capturing == 0 ? CaptureState::kNone : CaptureState::kCapturing;
  }
  clear_own_error(cuda, status);
  return status == cuda::kStreamCaptureImplicit ? CaptureState::kCapturing : CaptureState::kUnknown;
}

}  // namespace fasttime
