// SPDX-License-Identifier: BSD-3-Clause
// A CUDA runtime with one device that does nothing and is always done, to measure the cost of the
// library itself. Its clock moves 10 ns at each reading, so that all runs are the same.
#include <atomic>
#include <cstdint>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {
std::atomic<int64_t> g_now_ns{1'000'000};
char g_handle;
}  // namespace

EXPORT int64_t fasttime_host_now_ns() { return g_now_ns.fetch_add(10, std::memory_order_relaxed); }
EXPORT void fasttime_pause(int64_t ns) { g_now_ns.fetch_add(ns, std::memory_order_relaxed); }

EXPORT int cudaEventCreateWithFlags(void** event, unsigned) {
  *event = &g_handle;
  return 0;
}
EXPORT int cudaEventRecord(void*, void*) { return 0; }
EXPORT int cuEventRecord(void*, void*) { return 0; }
EXPORT int cudaEventElapsedTime(float* ms, void*, void*) {
  *ms = 0.001F;
  return 0;
}
EXPORT int cuEventElapsedTime_v2(float* ms, void*, void*) {
  *ms = 0.001F;
  return 0;
}
EXPORT int cudaGetDeviceCount(int* count) {
  *count = 1;
  return 0;
}
EXPORT int cudaGetDevice(int* device) {
  *device = 0;
  return 0;
}
EXPORT int cudaStreamCreateWithFlags(void** stream, unsigned) {
  *stream = &g_handle;
  return 0;
}
EXPORT int cudaStreamIsCapturing(void*, int* status) {
  *status = 0;
  return 0;
}
EXPORT int cuStreamIsCapturing(void*, int* status) {
  *status = 0;
  return 0;
}
EXPORT int cudaThreadExchangeStreamCaptureMode(int*) { return 0; }
EXPORT int cudaDeviceSynchronize() { return 0; }
EXPORT int cudaStreamSynchronize(void*) { return 0; }
EXPORT int cudaStreamQuery(void*) { return 0; }
EXPORT int cudaGetLastError() { return 0; }
EXPORT int cudaPeekAtLastError() { return 0; }
EXPORT const char* cudaGetErrorName(int) { return ""; }
EXPORT const char* cudaGetErrorString(int) { return ""; }
EXPORT int cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return 0;
}
EXPORT int32_t aoti_torch_get_current_cuda_stream(int32_t, void** stream) {
  *stream = nullptr;
  return 0;
}
