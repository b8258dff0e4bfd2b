// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "cuda/cuda_runtime.h"
#include "cuda/device_clock.h"
#include "cuda/event_pool.h"
#include "cuda/graph_stamps.h"

namespace fasttime {

// The event pool, the clock and the stamps of one device, shared by all recorders of the process.
struct Device {
  EventPool pool;
  DeviceClock clock;
  GraphStamps stamps;
};

// The entry of a device. The first call creates it, with the first events and the clock's stream.
// Thread-safe. The device need not be current. Null if the device is not started, `index` is out of
// range, memory is short, or the device cannot be made current.
Device* device_at(const CudaRuntime& cuda, int index) noexcept;

// Forgets all devices without a call to CUDA: their events belong to the parent process, or to a
// simulation that has ended. Frees nothing, because another thread may still hold a pointer.
void forget_devices() noexcept;

}  // namespace fasttime
