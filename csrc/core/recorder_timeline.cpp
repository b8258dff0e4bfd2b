// SPDX-License-Identifier: BSD-3-Clause
// The recorder's part in a timeline: when spans are kept, and the anchors that place them.
#include "core/recorder.h"
#include "cuda/devices.h"

namespace fasttime {

bool Recorder::start_spans(size_t limit) noexcept {
  if (!spans_.start(limit, runtime().host_now_ns())) {
    return false;
  }
  anchor_devices();
  return true;
}

SpanStore::Taken Recorder::take_spans() {
  anchor_devices();
  return spans_.take();
}

void Recorder::anchor_devices() noexcept {
  const CudaRuntime& cuda = runtime();
  Place here;
  int status = cuda::kSuccess;
  if (!cuda.has_cuda || !current_place(cuda, here) ||
      capture_state(cuda, here, status) != CaptureState::kNone) {
    return;
  }
  graphs_.renew_clocks(cuda, true);
  uint64_t done = 0;  // one bit per device; there are at most 64
  each_lane([&](Lane& lane) {
    const uint64_t bit = uint64_t{1} << (lane.place.device % 64);
    Device* device = (done & bit) == 0 ? device_at(cuda, lane.place.device) : nullptr;
    if (device != nullptr) {
      done |= bit;
      device->clock.renew(cuda, lane.place.device, cuda.host_now_ns(), true);
      spans_.note_anchor(lane.place.device, device->clock.anchor());
    }
  });
}

}  // namespace fasttime
