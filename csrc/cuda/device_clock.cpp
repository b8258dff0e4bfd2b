// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/device_clock.h"

#include <cmath>
#include <initializer_list>
#include <mutex>
#include <utility>

#include "cuda/contexts.h"
#include "host/host_clock.h"
#include "host/scoped_gil_release.h"

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
    note_runtime_failure(cuda, "cudaStreamCreateWithFlags", status);
    return;
  }
  for (void** event : {&first, &second}) {
    if (const int status = cuda.event_create_with_flags(event, 0)) {
      note_runtime_failure(cuda, "cudaEventCreateWithFlags", status);
      return;
    }
  }
  stream_ = stream;
  anchor_event_ = first;
  spare_event_ = second;
}

void DeviceClock::renew(const CudaRuntime& cuda, int device, int64_t now_ns,
                        bool at_once) noexcept {
  if (!lock_.try_lock()) {
    return;
  }
  const std::lock_guard<SpinLock> hold(lock_, std::adopt_lock);
  if (stream_ == nullptr || (!at_once && !has_aged(last_attempt_ns_, now_ns, rest_ns_))) {
    return;
  }
  last_attempt_ns_ = now_ns;
  rest_ns_ = has_long_base() ? kRenewNs : kFirstRenewNs;
  const ScopedContext guard(cuda, device);
  if (!guard.holds()) {
    return;
  }
  float elapsed_ms = 0;
  int status = cuda::kSuccess;
  if (spare_is_recorded_) {
    // An earlier attempt may have timed out before the device reached its event.
    status = elapsed_time(cuda, &elapsed_ms, spare_event_, spare_event_);
    if (status != cuda::kSuccess) {
      note_unless_not_ready(cuda, status);
      return;
    }
  }
  // This stream is idle. But if all streams of the device share one launch queue
  // (CUDA_DEVICE_MAX_CONNECTIONS=1), that queue may be full and the record may block.
  const ScopedGilRelease meanwhile;
  const int64_t before_ns = cuda.host_now_ns();
  status = cuda.event_record(spare_event_, stream_);
  if (status != cuda::kSuccess) {
    note_runtime_failure(cuda, "cudaEventRecord", status);
    return;
  }
  spare_is_recorded_ = true;
  int64_t after_ns = before_ns;
  do {
    status = elapsed_time(cuda, &elapsed_ms, spare_event_, spare_event_);
    after_ns = cuda.host_now_ns();
  } while (status == cuda::kNotReady && after_ns > before_ns &&
           after_ns - before_ns < kMaxBracketNs);
  if (status != cuda::kSuccess) {
    note_unless_not_ready(cuda, status);
    return;
  }
  const int64_t bracket_ns = after_ns - before_ns;
  double since_anchor_ns = 0;
  if (anchor_.number != 0 && read(cuda, spare_event_, since_anchor_ns) &&
      place_by(anchor_, since_anchor_ns).uncertainty_ns < bracket_ns / 2) {
    // The thread was interrupted between the two reads of the clock. The last anchor is better.
    rest_ns_ = kFirstRenewNs;
    return;
  }
  adopt(cuda, before_ns + bracket_ns / 2, bracket_ns);
}

void DeviceClock::set_rate(AnchorPoint& next, double device_ns) noexcept {
  // The ratio changes slowly, so the base follows. The first anchor of a process may be imprecise.
  if (has_long_base() ? device_ns > kLongBaseNs : anchor_.bracket_ns < base_.bracket_ns / 2) {
    base_ = anchor_;
    since_base_ns_ = 0;
  }
  since_base_ns_ += device_ns;
  // Near enough for a float of milliseconds to resolve microseconds.
  if (device_ns > 0 && device_ns < 1e10) {
    const double rate = static_cast<double>(next.host_ns - base_.host_ns) / since_base_ns_;
    const double error = static_cast<double>(next.bracket_ns + base_.bracket_ns) / since_base_ns_;
    if (std::abs(rate - 1.0) < 1e-3) {
      if (error < kUnknownRate) {
        next.rate = rate;
        next.rate_error = error;
      }
      return;
    }
  }
  base_ = next;
  since_base_ns_ = 0;
}

void DeviceClock::adopt(const CudaRuntime& cuda, int64_t host_ns, int64_t bracket_ns) noexcept {
  AnchorPoint next;
  next.number = anchor_.number + 1;
  next.host_ns = host_ns;
  next.bracket_ns = bracket_ns;
  next.rate_error = kUnknownRate;
  if (anchor_.number != 0) {
    float elapsed_ms = 0;
    const int status = elapsed_time(cuda, &elapsed_ms, anchor_event_, spare_event_);
    note_unless_not_ready(cuda, status);
    const double device_ns = static_cast<double>(elapsed_ms) * 1e6;
    if (status == cuda::kSuccess && device_ns > 0) {
      next.previous_host_ns = anchor_.host_ns;
      next.previous_bracket_ns = anchor_.bracket_ns;
      next.since_previous_ns = device_ns;
    }
    set_rate(next, status == cuda::kSuccess ? device_ns : 0);
  } else {
    base_ = next;
  }
  spare_is_recorded_ = anchor_.number != 0;
  std::swap(anchor_event_, spare_event_);
  anchor_ = next;
  rest_ns_ = has_long_base() ? kRenewNs : kFirstRenewNs;
}

bool DeviceClock::place(const CudaRuntime& cuda, void* event, PlacedMoment& moment) noexcept {
  if (!lock_.try_lock()) {
    return false;
  }
  const std::lock_guard<SpinLock> hold(lock_, std::adopt_lock);
  double after_ns = 0;
  if (anchor_.number == 0 || !read(cuda, event, after_ns)) {
    return false;
  }
  moment = place_by(anchor_, after_ns);
  return true;
}

AnchorPoint DeviceClock::anchor() noexcept {
  if (!lock_.try_lock()) {
    return {};
  }
  const std::lock_guard<SpinLock> hold(lock_, std::adopt_lock);
  return anchor_;
}

AnchorPoint DeviceClock::measure(const CudaRuntime& cuda, void* event, double& after_ns,
                                 bool& is_busy) noexcept {
  int tries = 0;
  while (!lock_.try_lock()) {
    if (++tries == kMaxTries) {
      is_busy = true;
      return {};
    }
  }
  const std::lock_guard<SpinLock> hold(lock_, std::adopt_lock);
  is_busy = false;
  return anchor_.number != 0 && read(cuda, event, after_ns) ? anchor_ : AnchorPoint{};
}

bool DeviceClock::read(const CudaRuntime& cuda, void* event, double& after_ns) noexcept {
  float elapsed_ms = 0;
  if (const int status = elapsed_time(cuda, &elapsed_ms, anchor_event_, event)) {
    note_unless_not_ready(cuda, status);
    return false;
  }
  after_ns = static_cast<double>(elapsed_ms) * 1e6;
  return true;
}

}  // namespace fasttime
