// SPDX-License-Identifier: BSD-3-Clause
// Further functions that a CUDA build of torch calls: device properties, memory, launches. "Device"
// memory is host memory, copies happen at once, and kernels compute nothing; each takes the time of
// sim_set_launch_time on the clock. Covers the calls for tensors, streams, events and graphs. Other
// calls reach the real runtime, which finds a driver that supports nothing.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "world.h"

using namespace simulated;

namespace {

using HostFunction = void (*)(void*);

template <class T>
void put(void* structure, size_t offset, T value) {
  std::memcpy(static_cast<char*>(structure) + offset, &value, sizeof value);
}

int launch(Call& c, void* stream_handle) {
  Stream* stream = c.world.find_stream(c.thread, stream_handle);
  if (!stream) return kInvalidHandle;
  if (const int error = c.world.refuse_implicit(*stream)) return error;
  if (stream->capture) {
    if (!stream->capture->is_alive) return kCaptureInvalidated;
    c.world.add_node(*stream, Node{c.world.launch_ns, nullptr, nullptr});
    c.world.now_ns += c.world.host_cost_ns;
    return kSuccess;
  }
  if (const int error = c.world.admit(c.lock, *stream)) return error;
  stream->entries.push_back(c.world.issue(*stream, c.world.launch_ns));
  return kSuccess;
}

int launch_as(const char* function, void* stream) {
  return call(function, [&](Call& c) { return launch(c, stream); });
}

int allocate(const char* function, void** pointer, size_t bytes) {
  return call(function, [&](Call& c) -> int {
    if (const int error = c.world.refuse_unsafe(c.thread)) return error;
    if (const int error = c.world.wait_for_allocations(c.lock)) return error;
    *pointer = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
    if (!*pointer) return kOutOfMemory;
    c.world.memory[*pointer] = {bytes, c.thread.current(),
                                std::strcmp(function, "cudaHostAlloc") == 0};
    return kSuccess;
  });
}

int release(const char* function, void* pointer) {
  return call(function, [&](Call& c) -> int {
    if (!pointer) return kSuccess;
    if (const int error = c.world.refuse_unsafe(c.thread)) return error;
    if (c.world.memory.erase(pointer) == 0) return kInvalidValue;
    std::free(pointer);
    return kSuccess;
  });
}

int driver_nothing_to_do() { return kSuccess; }

int driver_not_supported() { return kNotSupported; }

}  // namespace

extern "C" int cuStreamIsCapturing(void*, int*);
extern "C" int cuStreamWaitValue32_v2(void*, uintptr_t, uint32_t, unsigned);

// ---- devices ------------------------------------------------------------------------------------

SIMULATED_EXPORT int cudaGetDeviceProperties(void* properties, int device) {
  return call(
      "cudaGetDeviceProperties",
      [&](Call& c) {
        if (device < 0 || device >= c.world.device_count) return kInvalidDevice;
        using namespace device_properties;
        std::memset(properties, 0, kSize);
        std::strcpy(static_cast<char*>(properties) + kName, "Simulated");
        put(properties, kTotalGlobalMem, size_t{80} << 30);
        put(properties, kSharedMemPerBlock, size_t{48} << 10);
        put(properties, kRegsPerBlock, 65536);
        put(properties, kWarpSize, 32);
        put(properties, kMaxThreadsPerBlock, 1024);
        for (size_t axis = 0; axis < 3; ++axis) {
          put(properties, kMaxThreadsDim + 4 * axis, axis < 2 ? 1024 : 64);
          put(properties, kMaxGridSize + 4 * axis, axis < 1 ? 0x7fffffff : 65535);
        }
        put(properties, kMajor, 9);
        put(properties, kMinor, 0);
        put(properties, kMultiProcessorCount, 132);
        put(properties, kL2CacheSize, 50 << 20);
        put(properties, kMaxThreadsPerMultiProcessor, 2048);
        put(properties, kSharedMemPerMultiprocessor, size_t{228} << 10);
        put(properties, kRegsPerMultiprocessor, 65536);
        put(properties, kSharedMemPerBlockOptin, size_t{227} << 10);
        return kSuccess;
      },
      false);
}

SIMULATED_EXPORT int cudaDeviceGetAttribute(int* value, int, int) {
  return call(
      "cudaDeviceGetAttribute",
      [&](Call&) {
        *value = 1;
        return kSuccess;
      },
      false);
}

SIMULATED_EXPORT int cudaDeviceGetPCIBusId(char* text, int length, int device) {
  return call(
      "cudaDeviceGetPCIBusId",
      [&](Call&) {
        std::string id = "0000:0" + std::to_string(device) + ":00.0";
        id.copy(text, static_cast<size_t>(length) - 1);
        text[std::min(id.size(), static_cast<size_t>(length) - 1)] = 0;
        return kSuccess;
      },
      false);
}

SIMULATED_EXPORT int cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return call("cudaDeviceGetStreamPriorityRange", [&](Call&) {
    *least = 0;
    *greatest = -5;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return call("cudaDeviceCanAccessPeer", [&](Call&) {
    *can = device != peer;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaDeviceEnablePeerAccess(int, unsigned) {
  return call("cudaDeviceEnablePeerAccess", [](Call&) { return kSuccess; });
}

// torch looks up every driver function that it might call. The calls at its start must succeed.
SIMULATED_EXPORT int cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                                      unsigned long long, int* found) {
  return call(
      "cudaGetDriverEntryPointByVersion",
      [&](Call&) {
        const std::string symbol = name;
        if (symbol == "cuLogsRegisterCallback" || symbol == "cuLogsUnregisterCallback") {
          *function = reinterpret_cast<void*>(&driver_nothing_to_do);
        } else if (symbol == "cuStreamIsCapturing") {
          *function = reinterpret_cast<void*>(&cuStreamIsCapturing);
        } else if (symbol == "cuStreamWaitValue32") {
          *function = reinterpret_cast<void*>(&cuStreamWaitValue32_v2);
        } else {
          *function = reinterpret_cast<void*>(&driver_not_supported);
        }
        if (found) *found = 0;
        return kSuccess;
      },
      false);
}

// ---- memory -------------------------------------------------------------------------------------

SIMULATED_EXPORT int cudaMalloc(void** pointer, size_t bytes) {
  return allocate("cudaMalloc", pointer, bytes);
}
SIMULATED_EXPORT int cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return allocate("cudaHostAlloc", pointer, bytes);
}
SIMULATED_EXPORT int cudaFree(void* pointer) { return release("cudaFree", pointer); }
SIMULATED_EXPORT int cudaFreeHost(void* pointer) { return release("cudaFreeHost", pointer); }

SIMULATED_EXPORT int cudaHostGetDevicePointer(void** device_pointer, void* pointer, unsigned) {
  return call("cudaHostGetDevicePointer", [&](Call&) {
    *device_pointer = pointer;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  return call("cudaMemGetInfo", [&](Call&) {
    *free_bytes = size_t{79} << 30;
    *total_bytes = size_t{80} << 30;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaPointerGetAttributes(PointerAttributes* attributes, const void* pointer) {
  return call("cudaPointerGetAttributes", [&](Call& c) {
    *attributes = PointerAttributes{};
    attributes->host_pointer = const_cast<void*>(pointer);
    auto block = c.world.memory.upper_bound(const_cast<void*>(pointer));
    if (block == c.world.memory.begin()) return kSuccess;
    --block;
    if (static_cast<const char*>(pointer) >= static_cast<char*>(block->first) + block->second.bytes)
      return kSuccess;
    attributes->type = block->second.is_host ? 1 : 2;
    attributes->device = block->second.device;
    attributes->device_pointer = const_cast<void*>(pointer);
    if (!block->second.is_host) attributes->host_pointer = nullptr;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, void* stream) {
  const int error = launch_as("cudaMemcpyAsync", stream);
  if (error == kSuccess) std::memmove(to, from, bytes);
  return error;
}

SIMULATED_EXPORT int cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes,
                                         void* stream) {
  const int error = launch_as("cudaMemcpyPeerAsync", stream);
  if (error == kSuccess) std::memmove(to, from, bytes);
  return error;
}

// Waits, as the real function does for pageable memory.
SIMULATED_EXPORT int cudaMemcpy(void* to, const void* from, size_t bytes, int) {
  return call("cudaMemcpy", [&](Call& c) -> int {
    if (const int error = launch(c, nullptr)) return error;
    std::memmove(to, from, bytes);
    return c.world.wait(c.lock, c.world.find_stream(c.thread, nullptr)->last);
  });
}

SIMULATED_EXPORT int cudaMemsetAsync(void* to, int value, size_t bytes, void* stream) {
  const int error = launch_as("cudaMemsetAsync", stream);
  if (error == kSuccess) std::memset(to, value, bytes);
  return error;
}

SIMULATED_EXPORT int cudaMemset(void* to, int value, size_t bytes) {
  const int error = launch_as("cudaMemset", nullptr);
  if (error == kSuccess) std::memset(to, value, bytes);
  return error;
}

// ---- launches -----------------------------------------------------------------------------------

SIMULATED_EXPORT int cudaLaunchKernel(const void*, Dim3, Dim3, void**, size_t, void* stream) {
  return launch_as("cudaLaunchKernel", stream);
}

SIMULATED_EXPORT int cudaLaunchKernelExC(const void* config, const void*, void**) {
  void* stream = nullptr;
  std::memcpy(&stream, static_cast<const char*>(config) + launch_config::kStream, sizeof stream);
  return launch_as("cudaLaunchKernelExC", stream);
}

// The two functions that the launch stubs of nvcc 13 call. Counted as cudaLaunchKernel.
SIMULATED_EXPORT int __cudaGetKernel(void** kernel, const void* function) {
  *kernel = const_cast<void*>(function);
  return kSuccess;
}

SIMULATED_EXPORT int __cudaLaunchKernel(void*, Dim3, Dim3, void**, size_t, void* stream) {
  return launch_as("cudaLaunchKernel", stream);
}

SIMULATED_EXPORT int cudaFuncGetAttributes(void* attributes, const void*) {
  return call("cudaFuncGetAttributes", [&](Call&) {
    std::memset(attributes, 0, function_attributes::kSize);
    put(attributes, function_attributes::kMaxThreadsPerBlock, 1024);
    put(attributes, function_attributes::kNumRegs, 32);
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaFuncSetAttribute(const void*, int, int) {
  return call("cudaFuncSetAttribute", [](Call&) { return kSuccess; });
}

SIMULATED_EXPORT int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                            const void*, int,
                                                                            size_t, unsigned) {
  return call("cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", [&](Call&) {
    *blocks = 2;
    return kSuccess;
  });
}

// Calls the function at once, on this thread: a host function must not call CUDA, and those of
// torch only free memory.
SIMULATED_EXPORT int cudaLaunchHostFunc(void* stream, HostFunction function, void* argument) {
  const int error = launch_as("cudaLaunchHostFunc", stream);
  if (error == kSuccess) function(argument);
  return error;
}

// Holds a stream, without a kernel, until a word in host memory satisfies the condition (0: >=, 1:
// ==). May wait for room in the launch queue.
SIMULATED_EXPORT int cuStreamWaitValue32_v2(void* handle, uintptr_t address, uint32_t value,
                                            unsigned condition) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call("cuStreamWaitValue32_v2")) return error;
  Stream* stream = world.find_stream(world.this_thread(), handle);
  if (!stream || stream->capture) return kInvalidValue;
  if (const int error = world.admit(lock, *stream)) return error;
  auto opened = std::make_shared<Ticket>();
  world.value_waits.push_back(
      {reinterpret_cast<const volatile uint32_t*>(address), value, condition, opened});
  world.issue(*stream, 0, opened);
  return kSuccess;
}
