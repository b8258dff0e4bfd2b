// SPDX-License-Identifier: BSD-3-Clause
#include "torch_streams.h"

namespace fasttime {

[[gnu::hot]] bool current_place(const CudaRuntime& cuda, Place& place) noexcept {
  int device = 0;
  const int status = cuda.device_count == 1 ? cuda::kSuccess : cuda.get_device(&device);
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaGetDevice", status);
    return false;
  }
  void* stream = nullptr;
  if (cuda.current_stream(device, &stream) != 0) {
    note_failure("torch could not say which CUDA stream is current");
    return false;
  }
  place = {device, stream};
  return true;
}

[[gnu::hot]] CaptureState capture_state(const CudaRuntime& cuda, void* stream,
                                        int& status) noexcept {
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
