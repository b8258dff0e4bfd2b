// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

namespace fasttime {

// The only way to CUDA and to the clock: a table of function pointers, looked up at run time. They
// belong to the CUDA runtime that torch uses or, in tests, to a simulated one. Nothing else in this
// project calls CUDA. Types follow the C ABI: streams and events are opaque pointers, a
// status is an int, and 0 means success.
struct alignas(64) CudaRuntime {
  // --- for each scope, in one cache line ---

  // False: the host backend. Then only host_now_ns and pause may be called.
  bool has_cuda = false;
  // With one device, fasttime does not ask which device is current. Asking costs 60 ns.
  int device_count = 0;
  int64_t (*host_now_ns)() noexcept = nullptr;
  // From torch: the stream on which torch would launch now. Device -1 is the current one.
  int32_t (*current_stream)(int32_t device, void** stream) = nullptr;
  // From libcuda, optional: 26 ns instead of 65 for the runtime's call, and leaves no last error.
  int (*driver_stream_is_capturing)(void* stream, int* status) = nullptr;
  // From libcuda, optional: 5 to 8 % faster than the runtime's call. See record_event().
  int (*driver_event_record)(void* event, void* stream) = nullptr;
  int (*event_record)(void* event, void* stream) = nullptr;
  // From libcuda, optional (12.8 on). See elapsed_time().
  int (*driver_event_elapsed_time)(float* elapsed_ms, void* begin, void* end) = nullptr;
  int (*event_elapsed_time)(float* elapsed_ms, void* begin, void* end) = nullptr;

  // --- the rest ---

  // From libcuda, optional: starts no device, and leaves no last error.
  int (*driver_stream_query)(void* stream) = nullptr;

  int (*event_create_with_flags)(void** event, unsigned flags) = nullptr;
  int (*get_device_count)(int* count) = nullptr;
  int (*get_device)(int* device) = nullptr;
  // From torch, optional: the device on which torch would launch. It differs from the current
  // device if torch returned to a device that the process does not use: making it current would
  // start it.
  int (*torch_get_device)(int8_t* device) = nullptr;
  int (*stream_create_with_flags)(void** stream, unsigned flags) = nullptr;
  int (*stream_is_capturing)(void* stream, int* status) = nullptr;
  int (*thread_exchange_stream_capture_mode)(int* mode) = nullptr;
  int (*get_last_error)() = nullptr;
  int (*peek_at_last_error)() = nullptr;
  const char* (*get_error_name)(int error) = nullptr;
  const char* (*get_error_string)(int error) = nullptr;
  int (*runtime_get_version)(int* version) = nullptr;

  // From libcuda, optional: device contexts. See contexts.h.
  int (*primary_context_get_state)(int device, unsigned* flags, int* is_active) = nullptr;
  int (*primary_context_retain)(void** context, int device) = nullptr;
  int (*context_push_current)(void* context) = nullptr;
  int (*context_pop_current)(void** context) = nullptr;
  int (*context_get_current)(void** context) = nullptr;

  // Optional, for StreamHold: pinned memory, and (from libcuda) a wait for a value in it.
  int (*host_alloc)(void** pointer, size_t bytes, unsigned flags) = nullptr;
  int (*stream_wait_value)(void* stream, uintptr_t address, uint32_t value,
                           unsigned flags) = nullptr;

  // For measure(), which waits, and for stream checks, which ask only; see waits.h.
  int (*device_synchronize)() = nullptr;
  int (*stream_synchronize)(void* stream) = nullptr;
  int (*stream_query)(void* stream) = nullptr;

  // From libcuda, optional, for GraphStamps: kernels, and the graph that a stream captures.
  int (*module_load_data)(void** module, const void* image) = nullptr;
  int (*module_get_function)(void** function, void* module, const char* name) = nullptr;
  int (*launch_kernel)(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                       void* stream, void** parameters, void** extra) = nullptr;
  int (*stream_get_capture_info)(void* stream, int* status, uint64_t* id, void** graph,
                                 void* const** dependencies, size_t* count) = nullptr;
  int (*user_object_create)(void** object, void* pointer, void (*destroy)(void*), unsigned count,
                            unsigned flags) = nullptr;
  int (*user_object_release)(void* object, unsigned count) = nullptr;
  int (*graph_retain_user_object)(void* graph, void* object, unsigned count,
                                  unsigned flags) = nullptr;

  // Sleeps for `ns`. Only drain() and GraphStamps::prepare() call it.
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
constexpr int kCaptureActive = 1;
constexpr unsigned kUserObjectNoDestructorSync = 1;
constexpr unsigned kGraphUserObjectMove = 1;
}  // namespace cuda

// Clears the last error of this thread if the failed call that returned `status` left it there.
// Otherwise torch's next launch check would raise that error. Call it right after a failed call of
// the runtime. Do not call it after a call of the driver, which leaves no last error: it could
// clear an error that belongs to other code.
inline void clear_own_error(const CudaRuntime& cuda, int status) noexcept {
  if (status != cuda::kSuccess && status != cuda::kNotReady &&
      cuda.peek_at_last_error() == status) {
    cuda.get_last_error();
  }
}

// Reads the time between two events; the only call that reading needs. Returns kNotReady while
// either event is not done. Never waits and leaves no last error. Allowed in every capture mode, on
// every thread. Uses the second version of the driver's call if there is one: it takes 70 ns, the
// runtime's call 98, the driver's first version 277. On a thread without a context, where the
// driver may return 201, it asks the runtime.
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

// The table in use. Thread-safe and never waits. A returned table stays valid for the life of the
// process. After a fork, a lost device, or at interpreter exit it is the table of the host backend.
inline const CudaRuntime& runtime() noexcept;

// For runtime() only. Written only by cuda_runtime.cpp.
extern std::atomic<const CudaRuntime*> active_runtime;
inline const CudaRuntime& runtime() noexcept {
  return *active_runtime.load(std::memory_order_acquire);
}

// Which backend is in use, and why, in words for the user.
struct Backend {
  bool has_cuda = false;
  int runtime_version = 0;  // from cudaRuntimeGetVersion; 0 on the host backend
  std::string reason;       // never empty
};
Backend backend();

// Binds to the CUDA runtime that torch uses. Call it only after torch has started CUDA: earlier, it
// would start CUDA itself and break a later fork. Returns whether CUDA is in use afterwards. A
// failure is final for this process; backend().reason then says what is missing.
bool bind_torch_runtime();

// Binds every entry to the shared library at `path`, such as the simulated runtime. Throws
// std::runtime_error if a symbol is missing. For tests; no scope may be open.
void bind_library(const std::string& path);

// Returns to an unbound host backend. For tests; no scope may be open.
void unbind();

// Ends all use of CUDA for good, without a call to CUDA. Keeps the first reason.
void retire(const std::string& reason) noexcept;
// The same, for the child of a process that had started CUDA.
void retire_after_fork() noexcept;
bool is_retired() noexcept;

// Whether binding is worth a try: it has not succeeded or failed yet, and CUDA is not retired.
bool is_unbound() noexcept;

// Whether elapsed_time() returned this status because an event was recorded in a capture: 907
// during the capture, cudaErrorInvalidValue afterwards.
constexpr bool is_captured_event(int status) noexcept { return status == 907 || status == 1; }

// Guards the binding and the failures. Public for a fork, which holds it.
std::mutex& runtime_mutex() noexcept;

// Notes that a CUDA call of fasttime failed: keeps a description for the report. After a sticky
// error, when no call on the device can succeed again, it also retires CUDA. note_runtime_failure()
// is for calls of the runtime, and clears the thread's last error first.
void note_failure(const CudaRuntime& cuda, const char* function, int status) noexcept;
void note_runtime_failure(const CudaRuntime& cuda, const char* function, int status) noexcept;
void note_failure(const char* words) noexcept;
// The last failure noted in this process, such as "cudaEventRecord returned 400
// (cudaErrorInvalidResourceHandle: invalid resource handle)". Empty if there was none.
std::string last_failure();
// How many failures this process has noted.
uint64_t failure_count() noexcept;

// Sets this thread's capture mode to relaxed for its lifetime, so that a call that CUDA considers
// unsafe cannot destroy a capture. Failures are noted.
class RelaxedCaptureGuard {
 public:
  explicit RelaxedCaptureGuard(const CudaRuntime& cuda) noexcept;
  ~RelaxedCaptureGuard();
  // False if the mode is unchanged, because CUDA failed.
  bool is_relaxed() const noexcept { return lifted_; }
  RelaxedCaptureGuard(const RelaxedCaptureGuard&) = delete;
  RelaxedCaptureGuard& operator=(const RelaxedCaptureGuard&) = delete;

 private:
  const CudaRuntime& cuda_;
  int mode_ = cuda::kCaptureModeRelaxed;
  bool lifted_;
};

}  // namespace fasttime
