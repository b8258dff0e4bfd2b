// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The part of CUDA's binary interface that the simulation needs. Declared by hand, so that it
// builds on a machine without CUDA. The runtime's handles are opaque to callers; here they are
// objects of the model. Numbers and layouts are taken from CUDA 13 (cudaDeviceProp differs in 12).
// A test compares them with NVIDIA's headers if these are installed.

#include <cstddef>
#include <cstdint>

#define SIMULATED_EXPORT extern "C" __attribute__((visibility("default")))

namespace simulated {

enum Error : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidContext = 201,
  kInvalidHandle = 400,
  kIllegalState = 401,
  kNotReady = 600,
  kNotSupported = 801,
  kCaptureUnsupported = 900,
  kCaptureInvalidated = 901,
  kCaptureMerge = 902,
  kCaptureUnmatched = 903,
  kCaptureIsolation = 905,
  kCaptureImplicit = 906,
  kCapturedEvent = 907,
  kCaptureWrongThread = 908,
  kUnknownError = 999,
};

enum CaptureMode : int { kModeGlobal = 0, kModeThreadLocal = 1, kModeRelaxed = 2 };
enum CaptureStatus : int { kStatusNone = 0, kStatusActive = 1, kStatusInvalidated = 2 };

constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventDisableTiming = 2;
constexpr unsigned kEventRecordExternal = 1;
constexpr int kNodeKernel = 0;
constexpr int kNodeEventRecord = 7;
constexpr int kRuntimeVersion = 13000;

struct Dim3 {
  unsigned x, y, z;
};

// Structures that torch reads or fills: the offsets of the fields in use, and the size.
namespace device_properties {
constexpr size_t kSize = 1008;
constexpr size_t kName = 0;
constexpr size_t kTotalGlobalMem = 288;
constexpr size_t kSharedMemPerBlock = 296;
constexpr size_t kRegsPerBlock = 304;
constexpr size_t kWarpSize = 308;
constexpr size_t kMaxThreadsPerBlock = 320;
constexpr size_t kMaxThreadsDim = 324;
constexpr size_t kMaxGridSize = 336;
constexpr size_t kMajor = 360;
constexpr size_t kMinor = 364;
constexpr size_t kMultiProcessorCount = 384;
constexpr size_t kL2CacheSize = 596;
constexpr size_t kMaxThreadsPerMultiProcessor = 604;
constexpr size_t kSharedMemPerMultiprocessor = 624;
constexpr size_t kRegsPerMultiprocessor = 632;
constexpr size_t kSharedMemPerBlockOptin = 672;
}  // namespace device_properties

namespace function_attributes {
constexpr size_t kSize = 144;
constexpr size_t kMaxThreadsPerBlock = 24;
constexpr size_t kNumRegs = 28;
}  // namespace function_attributes

namespace launch_config {
constexpr size_t kStream = 32;
}  // namespace launch_config

// cudaPointerAttributes, complete.
struct PointerAttributes {
  int type;  // 0 unregistered, 1 host, 2 device
  int device;
  void* device_pointer;
  void* host_pointer;
  long reserved[8];
};

}  // namespace simulated
