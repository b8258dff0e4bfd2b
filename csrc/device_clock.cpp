// SPDX-License-Identifier: BSD-3-Clause
#include "device_clock.h"

#include <cmath>
#include <initializer_list>
#include <mutex>

namespace fasttime {
namespace {

void note_unless_not_ready(const CudaRuntime& cuda, int status) noexcept {
  if (status != cuda::kSuccess && status != cuda::kNotReady) {
    note_failure(cuda, "cudaEventElapsedTime", status);
  }
}

}  // namespace

void DeviceClock::prepare(const CudaRuntime& cuda) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (stream_ != nullptr) {
    return;
  }
  const RelaxedCaptureGuard relaxed(cuda);
  void* stream = nullptr;
  void* first = nullptr;
  void* second = nullptr;
  if (const int status = cuda.stream_create_with_flags(&stream, cuda::kStreamNonBlocking)) {
    note_failure(cuda, "cudaStreamCreateWithFlags", status);
    return;
  }
  for (void** event : {&first, &second}) {
    if (const int status = cuda.event_create_with_flags(event, 0)) {
      note_failure(cuda, "cudaEventCreateWithFlags", status);
      return;
    }
  }
  stream_ = stream;
  anchor_.event = first;
  spare_event_ = second;
}

void DeviceClock::renew(const CudaRuntime& cuda, int64_t now_ns) noexcept {
  if (!lock_.try_lock()) {
    return;
  }
  const std::lock_guard<SpinLock> hold(lock_, std::adopt_lock);
  if (stream_ == nullptr || now_ns < next_attempt_ns_) {
    return;
  }
  next_attempt_ns_ = now_ns + (has_rate_ ? kRenewNs : kFirstRenewNs);
  float elapsed_ms = 0;
  int status = cuda::kSuccess;
  if (spare_is_recorded_) {
    // An earlier attempt may have been given up with its event still on the way.
    status = cuda.event_elapsed_time(&elapsed_ms, spare_event_, spare_event_);
    if (status != cuda::kSuccess) {
      note_unless_not_ready(cuda, status);
      return;
    }
  }
  const int64_t before_ns = cuda.host_now_ns();
  status = cuda.event_record(spare_event_, stream_);
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaEventRecord", status);
    return;
  }
  spare_is_recorded_ = true;
  int64_t after_ns = before_ns;
  do {
    status = cuda.event_elapsed_time(&elapsed_ms, spare_event_, spare_event_);
    after_ns = cuda.host_now_ns();
  } while (status == cuda::kNotReady && after_ns > before_ns &&
           after_ns - before_ns < kMaxBracketNs);
  if (status != cuda::kSuccess) {
    note_unless_not_ready(cuda, status);
    return;
  }
  adopt(cuda, {spare_event_, before_ns + (after_ns - before_ns) / 2, after_ns - before_ns});
}

void DeviceClock::adopt(const CudaRuntime& cuda, const Anchor& next) noexcept {
  if (has_anchor_) {
    float elapsed_ms = 0;
    const int status = cuda.event_elapsed_time(&elapsed_ms, anchor_.event, next.event);
    note_unless_not_ready(cuda, status);
    const double device_ns = static_cast<double>(elapsed_ms) * 1e6;
    // Apart far enough for a ratio, near enough for a float of milliseconds to hold microseconds.
    if (status == cuda::kSuccess && device_ns > 5e7 && device_ns < 1e10) {
      rate_ = static_cast<double>(next.host_ns - anchor_.host_ns) / device_ns;
      rate_error_ = static_cast<double>(next.bracket_ns + anchor_.bracket_ns) / device_ns;
      has_rate_ = std::abs(rate_ - 1.0) < 1e-3;
      if (!has_rate_) {
        rate_ = 1.0;
        rate_error_ = kUnknownRate;
      }
    }
  }
  spare_event_ = anchor_.event;
  spare_is_recorded_ = has_anchor_;
  anchor_ = next;
  has_anchor_ = true;
}

bool DeviceClock::place(const CudaRuntime& cuda, void* event, PlacedMoment& moment) noexcept {
  if (!lock_.try_lock()) {
    return false;
  }
  const std::lock_guard<SpinLock> hold(lock_, std::adopt_lock);
  if (!has_anchor_) {
    return false;
  }
  float elapsed_ms = 0;
  if (const int status = cuda.event_elapsed_time(&elapsed_ms, anchor_.event, event)) {
    note_unless_not_ready(cuda, status);
    return false;
  }
  const double device_ns = static_cast<double>(elapsed_ms) * 1e6;
  moment.host_ns = anchor_.host_ns + static_cast<int64_t>(device_ns * rate_);
  moment.uncertainty_ns =
      anchor_.bracket_ns / 2 + static_cast<int64_t>(std::abs(device_ns) * rate_error_);
  return true;
}

}  // namespace fasttime
