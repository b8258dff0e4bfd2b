// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/waits.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "cuda/contexts.h"

namespace fasttime {
namespace {

struct Known {
  std::mutex mutex;  // guards streams; no call to CUDA is made under it
  std::map<int, std::vector<void*>> streams;
};
// Never destroyed: a daemon thread may wait while static destructors run.
Known& known() {
  static auto* instance = new Known;
  return *instance;
}

std::vector<void*> streams_of(int device) {
  const std::lock_guard<std::mutex> lock(known().mutex);
  const auto found = known().streams.find(device);
  return found == known().streams.end() ? std::vector<void*>() : found->second;
}

// The device of the stream must be current. An unknown state counts as a capture.
bool is_capturing(const CudaRuntime& cuda, const Place& place) noexcept {
  int status = cuda::kSuccess;
  return capture_state(cuda, place, status) != CaptureState::kNone;
}

int synchronize_stream(const CudaRuntime& cuda, void* stream) noexcept {
  const int status = cuda.stream_synchronize(stream);
  if (status != cuda::kSuccess) {
    note_runtime_failure(cuda, "cudaStreamSynchronize", status);
  }
  return status;
}

}  // namespace

std::vector<int> devices_in_use(const CudaRuntime& cuda) {
  std::vector<int> found;
  if (cuda.device_count > 1 && cuda.context_push_current == nullptr) {
    int device = 0;  // a driver without contexts: no other device can be waited for
    if (const int status = cuda.get_device(&device)) {
      note_runtime_failure(cuda, "cudaGetDevice", status);
    }
    return {device};
  }
  for (int device = 0; device < cuda.device_count; ++device) {
    if (is_started(cuda, device)) {
      found.push_back(device);
    }
  }
  return found;
}

void know_streams(int device, std::vector<void*> streams) {
  const std::lock_guard<std::mutex> lock(known().mutex);
  known().streams[device] = std::move(streams);
}

bool knows_streams(int device) {
  const std::lock_guard<std::mutex> lock(known().mutex);
  return known().streams.count(device) != 0;
}

void forget_streams() noexcept { known().streams.clear(); }

int wait_for_device(const CudaRuntime& cuda, int device) {
  const RelaxedCaptureGuard relaxed(cuda);
  const ScopedContext guard(cuda, device);
  if (!guard.holds()) {
    return cuda::kInvalidContext;
  }
  const std::vector<void*> streams = streams_of(device);
  const auto captures = [&](void* stream) { return is_capturing(cuda, {device, stream}); };
  if (std::none_of(streams.begin(), streams.end(), captures)) {
    const int status = cuda.device_synchronize();
    if (status != cuda::kSuccess) {
      note_runtime_failure(cuda, "cudaDeviceSynchronize", status);
    }
    return status;
  }
  for (void* stream : streams) {
    const int status = captures(stream) ? cuda::kSuccess : synchronize_stream(cuda, stream);
    if (status != cuda::kSuccess) {
      return status;
    }
  }
  return cuda::kSuccess;
}

int wait_for_stream(const CudaRuntime& cuda, const Place& place) {
  const RelaxedCaptureGuard relaxed(cuda);
  const ScopedContext guard(cuda, device_to_switch_to(place));
  return guard.holds() ? synchronize_stream(cuda, place.stream) : cuda::kInvalidContext;
}

StreamWork work_of(const CudaRuntime& cuda, const Place& place) noexcept {
  int status = cuda::kSuccess;
  const CaptureState capture = capture_state(cuda, place, status);
  if (capture == CaptureState::kUnknown) {
    note_failure(cuda, "cudaStreamIsCapturing", status);
    return StreamWork::kFailed;
  }
  if (capture == CaptureState::kCapturing) {
    return StreamWork::kCapturing;
  }
  status = cuda.stream_query(place.stream);
  if (status == cuda::kSuccess || status == cuda::kNotReady) {
    return status == cuda::kSuccess ? StreamWork::kNone : StreamWork::kUnfinished;
  }
  note_runtime_failure(cuda, "cudaStreamQuery", status);
  return StreamWork::kFailed;
}

std::vector<Place> busy_streams(const CudaRuntime& cuda, const Place& done) {
  const RelaxedCaptureGuard relaxed(cuda);
  std::vector<Place> busy;
  for (const int device : devices_in_use(cuda)) {
    const ScopedContext guard(cuda, device);
    if (!guard.holds()) {
      continue;
    }
    for (void* stream : streams_of(device)) {
      if (device == done.device && stream == done.stream) {
        continue;
      }
      const StreamWork work = work_of(cuda, {device, stream});
      if (work == StreamWork::kFailed) {
        return busy;
      }
      if (work == StreamWork::kUnfinished) {
        busy.push_back({device, stream});
      }
    }
  }
  return busy;
}

}  // namespace fasttime
