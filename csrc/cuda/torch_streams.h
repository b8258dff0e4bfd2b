// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "cuda/contexts.h"
#include "cuda/cuda_runtime.h"

namespace fasttime {

// A stream and the device it belongs to.
struct Place {
  int device = -1;
  void* stream = nullptr;
};

// Whether this is a default stream: its handle (0, 1 or 2) means a stream of the current device.
inline bool belongs_to_current_device(void* stream) noexcept {
  return reinterpret_cast<uintptr_t>(stream) <= 2;
}

// Whether the handle is cudaStreamPerThread, which means a different stream on each thread.
inline bool is_per_thread(void* stream) noexcept {
  return reinterpret_cast<uintptr_t>(stream) == 2;
}

// The device that must be current for calls on this stream, or kNoDevice if any device will do.
inline int device_to_switch_to(const Place& place) noexcept {
  return belongs_to_current_device(place.stream) ? place.device : ScopedContext::kNoDevice;
}

// The device and stream on which torch would launch work on this thread now. A null `stream` is
// CUDA's legacy default stream, which is also torch's default. Never waits. On failure: notes it,
// returns false and leaves `place` unchanged.
inline bool current_place(const CudaRuntime& cuda, Place& place) noexcept;

// Whether the stream is capturing. Ask before each record on a stream. A plain record inside a
// capture would become a graph dependency without a time. A record on the NULL stream while a
// blocking stream captures would destroy that capture.
enum class CaptureState { kNone, kCapturing, kUnknown };

// Never waits, never disturbs a capture and leaves no last error. With kUnknown, `status` is the
// error. If the stream belongs to the current device, its device must be current.
inline CaptureState capture_state(const CudaRuntime& cuda, const Place& place,
                                  int& status) noexcept;

// Whether the driver understands the handle as the stream of its device. It does unless the handle
// is a default stream and the device's context is not current.
inline bool is_plain_to_driver(const CudaRuntime& cuda, const Place& place) noexcept;

// Records an event. Leaves no last error. May block while the launch queue is full. It uses the
// driver, which is faster, except in two cases: the thread has no context yet (the driver returns
// 201), or the handle is not plain to the driver. Then it uses the runtime; in the second case the
// stream's device must be current.
inline int record_event(const CudaRuntime& cuda, void* event, const Place& place,
                        bool is_plain) noexcept;

// --- inline definitions: these functions run at every record, except for the rare cases ---

[[gnu::cold]] bool note_no_device(const CudaRuntime& cuda, int status) noexcept;
[[gnu::cold]] bool note_no_stream() noexcept;
[[gnu::cold]] CaptureState capture_state_otherwise(const CudaRuntime& cuda, const Place& place,
                                                   int& status) noexcept;
[[gnu::cold]] int record_event_otherwise(const CudaRuntime& cuda, void* event,
                                         const Place& place) noexcept;

// The device on which torch would launch.
inline int current_device(const CudaRuntime& cuda, int& device) noexcept {
  if (cuda.torch_get_device == nullptr) {
    return cuda.get_device(&device);
  }
  int8_t index = 0;
  const int status = cuda.torch_get_device(&index);
  device = index;
  return status;
}

inline bool current_place(const CudaRuntime& cuda, Place& place) noexcept {
  int device = 0;
  if (cuda.device_count != 1) {
    if (const int status = current_device(cuda, device)) {
      return note_no_device(cuda, status);
    }
  }
  void* stream = nullptr;
  if (cuda.current_stream(device, &stream) != 0) {
    return note_no_stream();
  }
  place = {device, stream};
  return true;
}

inline CaptureState capture_state(const CudaRuntime& cuda, const Place& place,
                                  int& status) noexcept {
  int capturing = 0;
  if (cuda.driver_stream_is_capturing != nullptr) {
    status = cuda.driver_stream_is_capturing(place.stream, &capturing);
    if (status == cuda::kSuccess) {
      return capturing == 0 ? CaptureState::kNone : CaptureState::kCapturing;
    }
  }
  return capture_state_otherwise(cuda, place, status);
}

inline int record_by_runtime(const CudaRuntime& cuda, void* event, void* stream) noexcept {
  const int status = cuda.event_record(event, stream);
  clear_own_error(cuda, status);
  return status;
}

inline bool is_plain_to_driver(const CudaRuntime& cuda, const Place& place) noexcept {
  return cuda.device_count == 1 || !belongs_to_current_device(place.stream) ||
         has_current_context(cuda, place.device);
}

inline int record_event(const CudaRuntime& cuda, void* event, const Place& place,
                        bool is_plain) noexcept {
  if (!is_plain) {
    return record_by_runtime(cuda, event, place.stream);
  }
  if (cuda.driver_event_record != nullptr) {
    const int status = cuda.driver_event_record(event, place.stream);
    if (status != cuda::kInvalidContext) {
      return status;
    }
  }
  return record_event_otherwise(cuda, event, place);
}

}  // namespace fasttime
