// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "cuda/cuda_runtime.h"
#include "cuda/device_clock.h"
#include "cuda/event_pool.h"

namespace fasttime {

// What the process owns on one device, whatever recorders there are.
struct Device {
  EventPool pool;
  DeviceClock clock;
};

// The device's entry, made at first use: then the first events and the clock's stream are created.
// The device need not be current. Null where it is not started, `index` is out of range, memory is
// short, or the device cannot be made current.
Device* device_at(const CudaRuntime& cuda, int index) noexcept;

// Forgets all devices without touching CUDA: their events belong to another process, or to a
// simulation that has ended. Nothing is freed, as somebody may still hold a pointer.
void forget_devices() noexcept;

}  // namespace fasttime
