// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/cuda_runtime.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "cuda/symbols.h"
#include "host/host_clock.h"

namespace fasttime {
namespace {

void pause_thread(int64_t ns) noexcept {
  std::this_thread::sleep_for(std::chrono::nanoseconds(ns));
}

CudaRuntime host_runtime() noexcept {
  CudaRuntime table;
  table.host_now_ns = &host_now_ns;
  table.pause = &pause_thread;
  return table;
}

constexpr const char* kUnboundReason =
    "torch has not started CUDA in this process (it starts CUDA when you first use a CUDA tensor "
    "or "
    "call torch.cuda.init(); without a GPU it never does)";

enum class Binding { kUnbound, kBound, kMissing, kRetired };

// Tables are never freed, because a reader may still use an old one.
const CudaRuntime g_host = host_runtime();
std::atomic<Binding> g_binding{Binding::kUnbound};

std::mutex g_mutex;  // guards the variables below, and binding
// Never destroyed: a daemon thread may note a failure while static destructors run.
std::string& g_reason = *new std::string(kUnboundReason);
std::string& g_last_failure = *new std::string;
uint64_t g_failure_count = 0;
int g_version = 0;

// Fills the CUDA part of the table. Returns the name of the first missing symbol, or null.
const char* fill(CudaRuntime& table, const SymbolSource& source) {
  const char* missing = nullptr;
  const auto find = [&](auto& entry, const char* name) {
    void* symbol = source.cuda(name);
    if (symbol == nullptr && missing == nullptr) {
      missing = name;
    }
    entry = reinterpret_cast<std::decay_t<decltype(entry)>>(symbol);
  };
  find(table.event_create_with_flags, "cudaEventCreateWithFlags");
  find(table.event_record, "cudaEventRecord");
  find(table.event_elapsed_time, "cudaEventElapsedTime");
  find(table.get_device_count, "cudaGetDeviceCount");
  find(table.get_device, "cudaGetDevice");
  find(table.stream_create_with_flags, "cudaStreamCreateWithFlags");
  find(table.stream_is_capturing, "cudaStreamIsCapturing");
  find(table.thread_exchange_stream_capture_mode, "cudaThreadExchangeStreamCaptureMode");
  find(table.get_last_error, "cudaGetLastError");
  find(table.peek_at_last_error, "cudaPeekAtLastError");
  find(table.get_error_name, "cudaGetErrorName");
  find(table.get_error_string, "cudaGetErrorString");
  find(table.runtime_get_version, "cudaRuntimeGetVersion");
  find(table.device_synchronize, "cudaDeviceSynchronize");
  find(table.stream_synchronize, "cudaStreamSynchronize");
  find(table.stream_query, "cudaStreamQuery");
  const auto driver = [&](auto& entry, const char* name) {
    entry = reinterpret_cast<std::decay_t<decltype(entry)>>(source.driver(name));
  };
  driver(table.driver_stream_is_capturing, "cuStreamIsCapturing");
  driver(table.driver_event_record, "cuEventRecord");
  driver(table.driver_event_elapsed_time, "cuEventElapsedTime_v2");
  driver(table.driver_stream_query, "cuStreamQuery");
  driver(table.primary_context_get_state, "cuDevicePrimaryCtxGetState");
  driver(table.primary_context_retain, "cuDevicePrimaryCtxRetain");
  driver(table.context_push_current, "cuCtxPushCurrent_v2");
  driver(table.context_pop_current, "cuCtxPopCurrent_v2");
  driver(table.context_get_current, "cuCtxGetCurrent");
  table.host_alloc = reinterpret_cast<decltype(table.host_alloc)>(source.cuda("cudaHostAlloc"));
  driver(table.stream_wait_value, "cuStreamWaitValue32_v2");
  driver(table.module_load_data, "cuModuleLoadData");
  driver(table.module_get_function, "cuModuleGetFunction");
  driver(table.launch_kernel, "cuLaunchKernel");
  driver(table.stream_get_capture_info, "cuStreamGetCaptureInfo_v2");
  driver(table.user_object_create, "cuUserObjectCreate");
  driver(table.user_object_release, "cuUserObjectRelease");
  driver(table.graph_retain_user_object, "cuGraphRetainUserObject");
  table.current_stream = reinterpret_cast<decltype(table.current_stream)>(
      source.torch("aoti_torch_get_current_cuda_stream"));
  // c10::cuda::GetDevice(int8_t*)
  table.torch_get_device =
      reinterpret_cast<decltype(table.torch_get_device)>(source.torch("_ZN3c104cuda9GetDeviceEPa"));
  if (table.current_stream == nullptr && missing == nullptr) {
    missing = "aoti_torch_get_current_cuda_stream";
  }
  table.has_cuda = true;
  return missing;
}

// Asks CUDA for the facts that never change. Call without the mutex: noting a failure takes it.
void probe(CudaRuntime& table, int& version) noexcept {
  if (const int status = table.runtime_get_version(&version)) {
    note_runtime_failure(table, "cudaRuntimeGetVersion", status);
    version = 0;
  }
  if (const int status = table.get_device_count(&table.device_count)) {
    note_runtime_failure(table, "cudaGetDeviceCount", status);
    table.device_count = 0;
  }
}

void publish(const CudaRuntime& table, int version) {
  g_version = version;
  g_reason = "bound to the CUDA runtime that torch uses";
  g_binding.store(Binding::kBound, std::memory_order_relaxed);
  // Pairs with the acquire in runtime(): a reader of the pointer sees the filled table.
  active_runtime.store(new CudaRuntime(table), std::memory_order_release);
}

// After these errors no call on the device can succeed again.
bool is_sticky(int status) noexcept {
  switch (status) {
    case 4:    // cudaErrorCudartUnloading
    case 214:  // cudaErrorECCUncorrectable
    case 220:  // cudaErrorNvlinkUncorrectable
    case 226:  // cudaErrorContained
    case 700:  // cudaErrorIllegalAddress
    case 702:  // cudaErrorLaunchTimeout
    case 709:  // cudaErrorContextIsDestroyed
    case 710:  // cudaErrorAssert
    case 714:  // cudaErrorHardwareStackError
    case 715:  // cudaErrorIllegalInstruction
    case 716:  // cudaErrorMisalignedAddress
    case 717:  // cudaErrorInvalidAddressSpace
    case 718:  // cudaErrorInvalidPc
    case 719:  // cudaErrorLaunchFailure
    case 721:  // cudaErrorTensorMemoryLeak
    case 810:  // cudaErrorMpsClientTerminated
    case 911:  // cudaErrorExternalDevice
      return true;
    default:
      return false;
  }
}

}  // namespace

std::atomic<const CudaRuntime*> active_runtime{&g_host};

Backend backend() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return {runtime().has_cuda, runtime().has_cuda ? g_version : 0, g_reason};
}

bool bind_torch_runtime() {
  std::string why;
  const SymbolSource source = torch_symbols(why);
  CudaRuntime table = host_runtime();
  const char* missing = why.empty() ? fill(table, source) : nullptr;
  if (missing != nullptr) {
    why = std::string("torch's CUDA runtime does not have ") + missing +
          "; fasttime needs torch >= 2.6 with CUDA >= 11.8";
  }
  int version = 0;
  if (why.empty()) {
    probe(table, version);
  }
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_binding.load(std::memory_order_relaxed) == Binding::kUnbound) {
    if (why.empty()) {
      publish(table, version);
    } else {
      g_reason = why;
      g_binding.store(Binding::kMissing, std::memory_order_relaxed);
    }
  }
  return runtime().has_cuda;
}

void bind_library(const std::string& path) {
  const SymbolSource source = library_symbols(path);
  CudaRuntime table;
  if (const char* missing = fill(table, source)) {
    throw std::runtime_error(path + " has no symbol " + missing);
  }
  table.host_now_ns =
      reinterpret_cast<decltype(table.host_now_ns)>(source.cuda("fasttime_host_now_ns"));
  table.pause = reinterpret_cast<decltype(table.pause)>(source.cuda("fasttime_pause"));
  if (table.host_now_ns == nullptr || table.pause == nullptr) {
    throw std::runtime_error(path + " has no fasttime_host_now_ns or no fasttime_pause");
  }
  int version = 0;
  probe(table, version);
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_binding.load(std::memory_order_relaxed) != Binding::kRetired) {
    publish(table, version);
  }
}

void unbind() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_reason = kUnboundReason;
  g_last_failure.clear();
  g_binding.store(Binding::kUnbound, std::memory_order_relaxed);
  active_runtime.store(&g_host, std::memory_order_release);
}

void retire(const std::string& reason) noexcept {
  const std::lock_guard<std::mutex> lock(g_mutex);
  const Binding before = g_binding.exchange(Binding::kRetired, std::memory_order_relaxed);
  active_runtime.store(&g_host, std::memory_order_release);
  if (before == Binding::kRetired) {
    return;
  }
  try {
    g_reason = reason;
  } catch (...) {  // out of memory: the old reason stands
  }
}

void retire_after_fork() noexcept {
  retire(
      "this process was forked after CUDA had started, so it cannot use CUDA and times the host "
      "only. Use the spawn start method to use CUDA in a child process");
}

bool is_retired() noexcept {
  return g_binding.load(std::memory_order_relaxed) == Binding::kRetired;
}

bool is_unbound() noexcept {
  return g_binding.load(std::memory_order_relaxed) == Binding::kUnbound;
}

void note_runtime_failure(const CudaRuntime& cuda, const char* function, int status) noexcept {
  clear_own_error(cuda, status);
  note_failure(cuda, function, status);
}

void note_failure(const CudaRuntime& cuda, const char* function, int status) noexcept {
  try {
    const std::string words = std::string(function) + " returned " + std::to_string(status) + " (" +
                              cuda.get_error_name(status) + ": " + cuda.get_error_string(status) +
                              ")";
    if (is_sticky(status)) {
      retire(words +
             "; the device is lost to this process, which times the host only from then on");
    }
    note_failure(words.c_str());
  } catch (...) {  // out of memory: the sample's status still tells of the failure
  }
}

void note_failure(const char* words) noexcept {
  const std::lock_guard<std::mutex> lock(g_mutex);
  ++g_failure_count;
  try {
    g_last_failure = words;
  } catch (...) {  // out of memory: the count still tells of the failure
  }
}

std::mutex& runtime_mutex() noexcept { return g_mutex; }

std::string last_failure() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return g_last_failure;
}

uint64_t failure_count() noexcept {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return g_failure_count;
}

namespace {

// A failure would leave the user's thread in another capture mode, so it is worth another try.
constexpr int kTriesToRestore = 4;

}  // namespace

RelaxedCaptureGuard::RelaxedCaptureGuard(const CudaRuntime& cuda) noexcept : cuda_(cuda) {
  const int status = cuda_.thread_exchange_stream_capture_mode(&mode_);
  lifted_ = status == cuda::kSuccess;
  if (!lifted_) {
    note_runtime_failure(cuda_, "cudaThreadExchangeStreamCaptureMode", status);
  }
}

RelaxedCaptureGuard::~RelaxedCaptureGuard() {
  for (int i = 0; i < kTriesToRestore && lifted_; ++i) {
    const int status = cuda_.thread_exchange_stream_capture_mode(&mode_);
    if (status == cuda::kSuccess) {
      return;
    }
    note_runtime_failure(cuda_, "cudaThreadExchangeStreamCaptureMode", status);
  }
}

}  // namespace fasttime
