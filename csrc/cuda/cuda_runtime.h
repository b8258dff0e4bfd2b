// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

namespace fasttime {

// The one seam to CUDA and to the clock: a table of function pointers, found at run time. Behind it
// stands the CUDA runtime that torch itself reaches or, in tests, a simulated one. Nothing else in
// this project calls CUDA. Types are those of the C ABI: a stream or an event is an opaque pointer,
// a status an int, 0 for success.
struct alignas(64) CudaRuntime {
  // --- what a scope needs, in one cache line ---

  // False: the host backend. Then only the two host functions may be called.
  bool has_cuda = false;
  // With one device there is no question which is current, and asking costs 60 ns.
  int device_count = 0;
  int64_t (*host_now_ns)() noexcept = nullptr;
  // From torch: the stream that torch would launch on now. device -1 is the current one.
  int32_t (*current_stream)(int32_t device, void** stream) = nullptr;
  // From libcuda, optional: 26 ns instead of 65, and no last error left behind.
  int (*driver_stream_is_capturing)(void* stream, int* status) = nullptr;
  // From libcuda, optional: 5 to 8 % less than by way of the runtime. See record_event().
  int (*driver_event_record)(void* event, void* stream) = nullptr;
  int (*event_record)(void* event, void* stream) = nullptr;
  // From libcuda, optional (12.8 on). See elapsed_time().
  int (*driver_event_elapsed_time)(float* elapsed_ms, void* begin, void* end) = nullptr;
  int (*event_elapsed_time)(float* elapsed_ms, void* begin, void* end) = nullptr;

  // --- the rest ---

  int (*event_create_with_flags)(void** event, unsigned flags) = nullptr;
  int (*get_device_count)(int* count) = nullptr;
  int (*get_device)(int* device) = nullptr;
  // From torch, optional: the device that it would launch on. It is another one than the current
  // where torch went back to a device that the process does not use, which would start it.
  int (*torch_get_device)(int8_t* device) = nullptr;
  int (*stream_create_with_flags)(void** stream, unsigned flags) = nullptr;
  int (*stream_is_capturing)(void* stream, int* status) = nullptr;
  int (*thread_exchange_stream_capture_mode)(int* mode) = nullptr;
  int (*get_last_error)() = nullptr;
  int (*peek_at_last_error)() = nullptr;
  const char* (*get_error_name)(int error) = nullptr;
  const char* (*get_error_string)(int error) = nullptr;
  int (*runtime_get_version)(int* version) = nullptr;

  // From libcuda, optional: the contexts of devices. See contexts.h.
  int (*primary_context_get_state)(int device, unsigned* flags, int* is_active) = nullptr;
  int (*primary_context_retain)(void** context, int device) = nullptr;
  int (*context_push_current)(void* context) = nullptr;
  int (*context_pop_current)(void** context) = nullptr;
  int (*context_get_current)(void** context) = nullptr;

  // Optional: pinned memory, and a stream that waits for a value in it (from libcuda). Holds only.
  int (*host_alloc)(void** pointer, size_t bytes, unsigned flags) = nullptr;
  int (*stream_wait_value)(void* stream, uintptr_t address, uint32_t value,
                           unsigned flags) = nullptr;

  // Lets `ns` pass. Only drain calls it.
  void (*pause)(int64_t ns) noexcept = nullptr;
};

namespace cuda {
constexpr int kSuccess = 0;
constexpr int kInvalidContext = 201;
constexpr int kNotReady = 600;
constexpr int kStreamCaptureImplicit = 906;
constexpr unsigned kStreamNonBlocking = 1;
constexpr int kCaptureModeRelaxed = 2;
constexpr unsigned kHostAllocPortable = 1;
constexpr unsigned kHostAllocMapped = 2;
constexpr unsigned kWaitValueAtLeast = 0;
}  // namespace cuda

// What a failing call of the runtime leaves in this thread's last error is what torch's next launch
// check would raise. Call it at once after one answered `status`; another's error is left alone.
// The driver's calls leave nothing there: after them it could only take what is somebody else's.
inline void clear_own_error(const CudaRuntime& cuda, int status) noexcept {
  if (status != cuda::kSuccess && status != cuda::kNotReady &&
      cuda.peek_at_last_error() == status) {
    cuda.get_last_error();
  }
}

// All that reading needs: answers kNotReady while either event is not done. Leaves no last error,
// whatever it answers. Allowed in every capture mode, on every thread. By way of the driver's
// second version of the call, where it has that: it takes 70 ns, the runtime's 98, the first
// version 277. The runtime has the word on a thread without a context, where the driver may answer
// 201.
inline int elapsed_time(const CudaRuntime& cuda, float* elapsed_ms, void* begin,
                        void* end) noexcept {
  if (cuda.driver_event_elapsed_time != nullptr) {
    const int status = cuda.driver_event_elapsed_time(elapsed_ms, begin, end);
    if (status != cuda::kInvalidContext) {
      return status;
    }
  }
  const int status = cuda.event_elapsed_time(elapsed_ms, begin, end);
  clear_own_error(cuda, status);
  return status;
}

// The table in use. Thread-safe; never null; a table once returned stays valid for the life of the
// process. After a fork, after a lost device and at interpreter exit it is the host backend's.
inline const CudaRuntime& runtime() noexcept;

// What runtime() reads; written by cuda_runtime.cpp alone.
extern std::atomic<const CudaRuntime*> active_runtime;
inline const CudaRuntime& runtime() noexcept {
  return *active_runtime.load(std::memory_order_acquire);
}

// What stands behind the table, and why, in words a user can act on.
struct Backend {
  bool has_cuda = false;
  int runtime_version = 0;  // as cudaRuntimeGetVersion says it; 0 on the host backend
  std::string reason;       // never empty
};
Backend backend();

// Binds to the CUDA runtime that torch reaches. Call it once torch has started CUDA, not earlier:
// a look at the device before would start CUDA and poison a later fork. True when CUDA is in use
// afterwards. A failure is final for this process; backend().reason says what was missing.
bool bind_torch_runtime();

// Binds every entry to the shared library at `path`: the way in of the simulated runtime.
// Throws std::runtime_error if a symbol is missing. For tests; no scope may be open.
void bind_library(const std::string& path);

// Back to an unbound host backend. For tests; no scope may be open.
void unbind();

// Stops all use of CUDA for good. The first reason is kept. Calls nothing of CUDA's.
void retire(const std::string& reason) noexcept;
// The same for the child of a process in which CUDA had started.
void retire_after_fork() noexcept;
bool is_retired() noexcept;

// True where nothing was bound, retired or found missing yet, so that binding is worth a try.
bool is_unbound() noexcept;

// Whether this is what elapsed_time() answers for an event recorded in a capture: 907 while
// the capture lasts, cudaErrorInvalidValue afterwards.
constexpr bool is_captured_event(int status) noexcept { return status == 907 || status == 1; }

// Guards the words above; for a fork, which takes it before and lets it go after.
std::mutex& runtime_mutex() noexcept;

// What to do after a call of ours failed: keeps it in words for a report, and after a sticky error,
// when no call on the device can succeed again, retires CUDA. After a call of the runtime, clears
// its error first.
void note_failure(const CudaRuntime& cuda, const char* function, int status) noexcept;
void note_runtime_failure(const CudaRuntime& cuda, const char* function, int status) noexcept;
void note_failure(const char* words) noexcept;
// The last one noted in this process, such as "cudaEventRecord answered 400
// (cudaErrorInvalidResourceHandle: invalid resource handle)"; empty if none.
std::string last_failure();
// How many were noted in this process.
uint64_t failure_count() noexcept;

// Lifts this thread's capture mode to relaxed for its lifetime, so that a call which CUDA counts as
// unsafe cannot destroy somebody's capture. Failures are noted.
class RelaxedCaptureGuard {
 public:
  explicit RelaxedCaptureGuard(const CudaRuntime& cuda) noexcept;
  ~RelaxedCaptureGuard();
  RelaxedCaptureGuard(const RelaxedCaptureGuard&) = delete;
  RelaxedCaptureGuard& operator=(const RelaxedCaptureGuard&) = delete;

 private:
  const CudaRuntime& cuda_;
  int mode_ = cuda::kCaptureModeRelaxed;
  bool lifted_;
};

}  // namespace fasttime
