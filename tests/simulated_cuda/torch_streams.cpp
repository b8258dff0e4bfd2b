// SPDX-License-Identifier: BSD-3-Clause
// torch's functions for its current device and stream. Only in the library for unit tests:
// preloaded under a real torch, they would hide torch's own. Like torch's, they leave the runtime's
// last error unchanged.
#include "world.h"

using namespace simulated;

// c10::cuda::GetDevice(int8_t*), which asks the runtime.
SIMULATED_EXPORT int _ZN3c104cuda9GetDeviceEPa(int8_t* device) {
  return call(
      "cudaGetDevice",
      [&](Call& c) {
        const int next = c.thread.torch_device;
        *device = static_cast<int8_t>(next < 0 ? c.thread.current() : next);
        return kSuccess;
      },
      false);
}

SIMULATED_EXPORT int32_t aoti_torch_get_current_cuda_stream(int32_t device, void** stream) {
  World& world = World::instance();
  Lock lock(world.mutex);
  Thread& thread = world.this_thread();
  const int index = device < 0 ? thread.current() : device;
  if (world.begin_call("aoti_torch_get_current_cuda_stream") || index >= world.device_count)
    return 1;
  const auto found = thread.torch_streams.find(index);
  *stream = found == thread.torch_streams.end() ? nullptr : found->second;
  return 0;
}
