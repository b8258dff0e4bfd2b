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

// The handles that mean a stream of whatever device is current.
inline bool belongs_to_current_device(void* stream) noexcept {
  return reinterpret_cast<uintptr_t>(stream) <= 2;
}

// cudaStreamPerThread: one handle for as many streams as there are threads.
inline bool is_per_thread(void* stream) noexcept {
  return reinterpret_cast<uintptr_t>(stream) == 2;
}

// A record on, or a question about, a handle of the current device's needs the stream's device to
// be current.
inline int device_to_switch_to(const Place& place) noexcept {
  return belongs_to_current_device(place.stream) ? place.device : ScopedContext::kNoDevice;
}

// Where torch would launch work on this thread now: its current device and that device's current
// stream. `stream` null is CUDA's legacy default stream, which is torch's default. Calls no driver
// function that could wait. False after noting the failure; `place` is then left as it was.
inline bool current_place(const CudaRuntime& cuda, Place& place) noexcept;

// What is known of a stream's capture, asked of the stream that is about to be recorded on. A plain
// record inside a capture would become a graph dependency without a time, and one on the NULL
// stream while a blocking stream captures would destroy that capture.
enum class CaptureState { kNone, kCapturing, kUnknown };

// Never disturbs a capture and leaves no last error. On kUnknown `status` says why. The device must
// be current where the stream belongs to whichever is.
inline CaptureState capture_state(const CudaRuntime& cuda, const Place& place,
                                  int& status) noexcept;

// Whether the driver takes the stream for that of its device: it does, unless that is a default
// stream and the device's context not the thread's.
inline bool is_plain_to_driver(const CudaRuntime& cuda, const Place& place) noexcept;

// Records by way of the driver, which takes less than by way of the runtime. Leaves no last error.
// The runtime records where only it knows what is meant: on a thread that has no context yet
// (the driver answers 201), and on what is not plain to the driver. The device must be current
// there.
inline int record_event(const CudaRuntime& cuda, void* event, const Place& place,
                        bool is_plain) noexcept;

// --- what is above, but for the rare cases, is read in line: it stands beside every record ---

[[gnu::cold]] bool note_no_device(const CudaRuntime& cuda, int status) noexcept;
[[gnu::cold]] bool note_no_stream() noexcept;
[[gnu::cold]] CaptureState capture_state_otherwise(const CudaRuntime& cuda, const Place& place,
                                                   int& status) noexcept;
[[gnu::cold]] int record_event_otherwise(const CudaRuntime& cuda, void* event,
                                         const Place& place) noexcept;

// The device that torch would launch on.
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
