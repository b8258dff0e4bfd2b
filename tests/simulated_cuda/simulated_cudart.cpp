// SPDX-License-Identifier: BSD-3-Clause
// The runtime's functions for devices, streams, events and errors that a timing library needs.
#include <algorithm>
#include <cstring>

#include "world.h"

using namespace simulated;

// ---- errors -------------------------------------------------------------------------------------

SIMULATED_EXPORT int cudaGetLastError() {
  int last = kSuccess;
  const int error = call(
      "cudaGetLastError",
      [&](Call& c) {
        last = c.thread.last_error;
        c.thread.last_error = kSuccess;
        return kSuccess;
      },
      false);
  return error != kSuccess ? error : last;
}

SIMULATED_EXPORT int cudaPeekAtLastError() {
  int last = kSuccess;
  const int error = call(
      "cudaPeekAtLastError",
      [&](Call& c) {
        last = c.thread.last_error;
        return kSuccess;
      },
      false);
  return error != kSuccess ? error : last;
}

SIMULATED_EXPORT const char* cudaGetErrorName(int error) {
  switch (error) {
    case kSuccess:
      return "cudaSuccess";
    case kInvalidValue:
      return "cudaErrorInvalidValue";
    case kOutOfMemory:
      return "cudaErrorMemoryAllocation";
    case 4:
      return "cudaErrorCudartUnloading";
    case kNoDevice:
      return "cudaErrorNoDevice";
    case kInvalidDevice:
      return "cudaErrorInvalidDevice";
    case kInvalidContext:
      return "cudaErrorDeviceUninitialized";
    case kInvalidHandle:
      return "cudaErrorInvalidResourceHandle";
    case kIllegalState:
      return "cudaErrorIllegalState";
    case kNotReady:
      return "cudaErrorNotReady";
    case 700:
      return "cudaErrorIllegalAddress";
    case 709:
      return "cudaErrorContextIsDestroyed";
    case 719:
      return "cudaErrorLaunchFailure";
    case kNotSupported:
      return "cudaErrorNotSupported";
    case kCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case kCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case kCaptureMerge:
      return "cudaErrorStreamCaptureMerge";
    case kCaptureUnmatched:
      return "cudaErrorStreamCaptureUnmatched";
    case kCaptureIsolation:
      return "cudaErrorStreamCaptureIsolation";
    case kCaptureImplicit:
      return "cudaErrorStreamCaptureImplicit";
    case kCapturedEvent:
      return "cudaErrorCapturedEvent";
    case kCaptureWrongThread:
      return "cudaErrorStreamCaptureWrongThread";
    case kUnknownError:
      return "cudaErrorUnknown";
    default:
      return "unrecognized error code";
  }
}

// The real strings are sentences. Nothing may depend on them, so this returns the name.
SIMULATED_EXPORT const char* cudaGetErrorString(int error) { return cudaGetErrorName(error); }

// ---- devices ------------------------------------------------------------------------------------

SIMULATED_EXPORT int cudaGetDeviceCount(int* count) {
  return call(
      "cudaGetDeviceCount",
      [&](Call& c) {
        *count = c.world.device_count;
        return *count > 0 ? kSuccess : kNoDevice;
      },
      false);
}

SIMULATED_EXPORT int cudaGetDevice(int* device) {
  return call(
      "cudaGetDevice",
      [&](Call& c) {
        *device = c.thread.current();
        return kSuccess;
      },
      false);
}

SIMULATED_EXPORT int cudaSetDevice(int device) {
  return call("cudaSetDevice", [&](Call& c) {
    if (device < 0 || device >= c.world.device_count) return kInvalidDevice;
    c.thread.make_current(device);
    c.world.start(device);  // since CUDA 12
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaRuntimeGetVersion(int* version) {
  return call(
      "cudaRuntimeGetVersion",
      [&](Call&) {
        *version = kRuntimeVersion;
        return kSuccess;
      },
      false);
}

SIMULATED_EXPORT int cudaDriverGetVersion(int* version) {
  return call(
      "cudaDriverGetVersion",
      [&](Call&) {
        *version = kRuntimeVersion;
        return kSuccess;
      },
      false);
}

// ---- the driver's contexts ----------------------------------------------------------------------

namespace {

// A device has one context, its primary context. A number stands for it.
void* context_of(int device) { return reinterpret_cast<void*>(uintptr_t{0x100} + device); }

template <class Body>
int driver_call(const char* function, Body body) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call(function)) return error;
  return body(world, world.this_thread());
}

}  // namespace

SIMULATED_EXPORT int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* is_active) {
  return driver_call("cuDevicePrimaryCtxGetState", [&](World& world, Thread&) {
    if (device < 0 || device >= world.device_count) return kInvalidDevice;
    *flags = 0;
    *is_active = world.started.count(device) != 0;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
  return driver_call("cuDevicePrimaryCtxRetain", [&](World& world, Thread&) {
    if (device < 0 || device >= world.device_count) return kInvalidDevice;
    world.start(device);
    *context = context_of(device);
    return kSuccess;
  });
}

SIMULATED_EXPORT int cuCtxPushCurrent_v2(void* context) {
  return driver_call("cuCtxPushCurrent_v2", [&](World& world, Thread& thread) {
    for (int device = 0; device < world.device_count; ++device) {
      if (context != context_of(device)) continue;
      thread.pushed.push_back(device);
      return kSuccess;
    }
    return kInvalidContext;
  });
}

SIMULATED_EXPORT int cuCtxGetCurrent(void** context) {
  return driver_call("cuCtxGetCurrent", [&](World&, Thread& thread) {
    *context = thread.has_context() ? context_of(thread.current()) : nullptr;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cuCtxPopCurrent_v2(void** context) {
  return driver_call("cuCtxPopCurrent_v2", [&](World&, Thread& thread) {
    if (thread.pushed.empty()) return kInvalidContext;
    *context = context_of(thread.pushed.back());
    thread.pushed.pop_back();
    return kSuccess;
  });
}

// ---- streams ------------------------------------------------------------------------------------

namespace {

// A query of a capturing stream, or a wait for it, destroys the capture.
int refuse_waiting_for(Call& c, Stream& stream) {
  if (const int error = c.world.refuse_unsafe(c.thread)) return error;
  if (stream.capture) {
    stream.capture->is_alive = false;
    return kCaptureUnsupported;
  }
  return c.world.refuse_implicit(stream);
}

int create_stream(Call& c, void** stream, unsigned flags, int priority) {
  if (flags > kStreamNonBlocking) return kInvalidValue;
  *stream = c.world.make_stream(c.thread.current(), flags != kStreamNonBlocking, priority);
  return kSuccess;
}

}  // namespace

SIMULATED_EXPORT int cudaStreamCreate(void** stream) {
  return call("cudaStreamCreate", [&](Call& c) { return create_stream(c, stream, 0, 0); });
}

SIMULATED_EXPORT int cudaStreamCreateWithFlags(void** stream, unsigned flags) {
  return call("cudaStreamCreateWithFlags",
              [&](Call& c) { return create_stream(c, stream, flags, 0); });
}

SIMULATED_EXPORT int cudaStreamCreateWithPriority(void** stream, unsigned flags, int priority) {
  return call("cudaStreamCreateWithPriority",
              [&](Call& c) { return create_stream(c, stream, flags, priority); });
}

SIMULATED_EXPORT int cudaStreamDestroy(void* handle) {
  return call("cudaStreamDestroy", [&](Call& c) -> int {
    if (reinterpret_cast<uintptr_t>(handle) <= 2) return kInvalidHandle;
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    stream->is_alive = false;  // queued work still completes
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaStreamGetPriority(void* handle, int* priority) {
  return call("cudaStreamGetPriority", [&](Call& c) {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    *priority = stream->priority;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaStreamQuery(void* handle) {
  return call("cudaStreamQuery", [&](Call& c) -> int {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    if (const int error = refuse_waiting_for(c, *stream)) return error;
    return c.world.is_done(stream->last) ? kSuccess : kNotReady;
  });
}

// The driver's version. It never sets the runtime's last error, and it needs a context for NULL.
SIMULATED_EXPORT int cuStreamQuery(void* handle) {
  World& world = World::instance();
  Lock lock(world.mutex);
  Thread& thread = world.this_thread();
  if (const int error = world.begin_call("cuStreamQuery")) return error;
  if (!handle && world.driver_needs_context && !thread.has_context()) return kInvalidContext;
  Stream* stream = world.find_stream(thread, handle);
  if (!stream) return kInvalidHandle;
  Call context{world, thread, lock};
  if (const int error = refuse_waiting_for(context, *stream)) return error;
  return world.is_done(stream->last) ? kSuccess : kNotReady;
}

SIMULATED_EXPORT int cudaStreamSynchronize(void* handle) {
  return call("cudaStreamSynchronize", [&](Call& c) -> int {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    if (const int error = refuse_waiting_for(c, *stream)) return error;
    return c.world.wait(c.lock, stream->last);
  });
}

SIMULATED_EXPORT int cudaDeviceSynchronize() {
  return call("cudaDeviceSynchronize", [](Call& c) -> int {
    // Illegal during any capture on the device, in every mode, even under a guard.
    int error = kSuccess;
    for (auto& capture : c.world.captures) {
      if (capture->origin->device != c.thread.current()) continue;
      capture->is_alive = false;
      error = kCaptureUnsupported;
    }
    for (const TicketPtr& last : c.world.last_of_device(c.thread.current())) {
      if (error == kSuccess) error = c.world.wait(c.lock, last);
    }
    return error;
  });
}

SIMULATED_EXPORT int cudaStreamWaitEvent(void* handle, void* event_handle, unsigned) {
  return call("cudaStreamWaitEvent", [&](Call& c) -> int {
    Stream* stream = c.world.find_stream(c.thread, handle);
    Event* event = c.world.find_event(event_handle);
    if (!stream || !event) return kInvalidHandle;
    if (const int error = c.world.refuse_implicit(*stream)) return error;
    if (event->state == Event::kCaptured) {
      const CapturePtr capture = event->captured_in.lock();
      if (!capture) return kInvalidValue;
      if (stream->capture && stream->capture != capture) return kCaptureMerge;
      if (!stream->capture) {  // a fork: the stream joins the capture
        stream->capture = capture;
        stream->dependencies.clear();
        capture->members.push_back(stream);
      }
      for (Node* node : event->captured_after) {
        if (std::count(stream->dependencies.begin(), stream->dependencies.end(), node) == 0)
          stream->dependencies.push_back(node);
      }
      return kSuccess;
    }
    if (event->state == Event::kNever) return kSuccess;
    if (stream->capture) {  // a dependency on work outside the graph
      stream->capture->is_alive = false;
      return kCaptureIsolation;
    }
    c.world.issue(*stream, 0, event->record);
    return kSuccess;
  });
}

// ---- events -------------------------------------------------------------------------------------

namespace {

int create_event(Call& c, void** event, unsigned flags) {
  *event = c.world.make_event(c.thread.current(), (flags & kEventDisableTiming) == 0);
  return kSuccess;
}

int record(Call& c, void* event_handle, void* stream_handle, unsigned flags) {
  Event* event = c.world.find_event(event_handle);
  Stream* stream = c.world.find_stream(c.thread, stream_handle);
  if (!event || !stream || event->device != stream->device) return kInvalidHandle;
  if (flags > kEventRecordExternal) return kInvalidValue;
  if (const int error = c.world.refuse_implicit(*stream)) return error;
  const bool is_external = flags == kEventRecordExternal;
  if (stream->capture) {
    Capture& capture = *stream->capture;
    if (!capture.is_alive) return kCaptureInvalidated;
    c.world.now_ns += c.world.host_cost_ns;
    if (is_external) {
      c.world.add_node(*stream, Node{0, event, nullptr});
    } else {
      event->captured_after = stream->dependencies;
      ++capture.plain_records;
      event->state = Event::kCaptured;
      event->captured_in = stream->capture;
    }
    return kSuccess;
  }
  if (is_external) return kIllegalState;
  if (const int error = c.world.admit(c.lock, *stream)) return error;
  c.world.stamp(*event, *stream);
  stream->entries.push_back(event->record);
  return kSuccess;
}

// An event that was last recorded in a capture has no work: 907 during the capture, afterwards
// invalid.
int captured_error(const Event& event) {
  if (event.state != Event::kCaptured) return kSuccess;
  return event.captured_in.expired() ? kInvalidValue : kCapturedEvent;
}

// A wait for such an event, or a query, destroys the capture. Reading a time does not.
int refuse_waiting_for(Call& c, const Event& event) {
  const int error = captured_error(event);
  if (error == kSuccess) return c.world.refuse_unsafe(c.thread);
  if (const CapturePtr capture = event.captured_in.lock()) capture->is_alive = false;
  return error;
}

int unreadable(const Event& event) {
  if (event.state == Event::kNever || !event.timing_enabled) return kInvalidHandle;
  return captured_error(event);
}

int elapsed(Call& c, float* ms, void* begin_handle, void* end_handle) {
  Event* begin = c.world.find_event(begin_handle);
  Event* end = c.world.find_event(end_handle);
  if (!begin || !end) return kInvalidHandle;
  if (const int error = unreadable(*begin)) return error;
  if (const int error = unreadable(*end)) return error;
  if (begin->device != end->device) return kInvalidHandle;
  if (!c.world.is_done(begin->record) || !c.world.is_done(end->record)) return kNotReady;
  *ms =
      static_cast<float>(static_cast<double>(end->record->done_ns - begin->record->done_ns) * 1e-6);
  return kSuccess;
}

}  // namespace

SIMULATED_EXPORT int cudaEventCreate(void** event) {
  return call("cudaEventCreate", [&](Call& c) { return create_event(c, event, 0); });
}

SIMULATED_EXPORT int cudaEventCreateWithFlags(void** event, unsigned flags) {
  return call("cudaEventCreateWithFlags", [&](Call& c) { return create_event(c, event, flags); });
}

SIMULATED_EXPORT int cudaEventDestroy(void* handle) {
  return call("cudaEventDestroy", [&](Call& c) {
    Event* event = c.world.find_event(handle);
    if (!event) return kInvalidHandle;
    event->is_alive = false;
    if (event->era == c.world.era) --c.world.events_alive;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaEventRecord(void* event, void* stream) {
  return call("cudaEventRecord", [&](Call& c) { return record(c, event, stream, 0); });
}

// The driver's version. A call also counts as a call of the runtime's version, and fails as that
// would, so a test need not know which of them recorded. It never sets the runtime's last error,
// and it needs a context for NULL.
SIMULATED_EXPORT int cuEventRecord(void* event, void* stream) {
  World& world = World::instance();
  Lock lock(world.mutex);
  Thread& thread = world.this_thread();
  if (const int error = world.begin_call("cuEventRecord")) return error;
  if (const int error = world.begin_call("cudaEventRecord")) return error;
  if (!stream && world.driver_needs_context && !thread.has_context()) return kInvalidContext;
  Call context{world, thread, lock};
  return record(context, event, stream, 0);
}

SIMULATED_EXPORT int cudaEventRecordWithFlags(void* event, void* stream, unsigned flags) {
  return call("cudaEventRecordWithFlags", [&](Call& c) { return record(c, event, stream, flags); });
}

SIMULATED_EXPORT int cudaEventQuery(void* handle) {
  return call("cudaEventQuery", [&](Call& c) -> int {
    Event* event = c.world.find_event(handle);
    if (!event) return kInvalidHandle;
    if (const int error = refuse_waiting_for(c, *event)) return error;
    if (event->state == Event::kNever) return kSuccess;
    return c.world.is_done(event->record) ? kSuccess : kNotReady;
  });
}

SIMULATED_EXPORT int cudaEventSynchronize(void* handle) {
  return call("cudaEventSynchronize", [&](Call& c) -> int {
    Event* event = c.world.find_event(handle);
    if (!event) return kInvalidHandle;
    if (const int error = refuse_waiting_for(c, *event)) return error;
    if (event->state == Event::kNever) return kSuccess;
    return c.world.wait(c.lock, event->record);
  });
}

// Harmless during every capture; "not ready" leaves no last error. Readings need no other call.
SIMULATED_EXPORT int cudaEventElapsedTime(float* ms, void* begin, void* end) {
  return call("cudaEventElapsedTime", [&](Call& c) { return elapsed(c, ms, begin, end); });
}

// The driver's second version; counts and fails like cuEventRecord.
SIMULATED_EXPORT int cuEventElapsedTime_v2(float* ms, void* begin, void* end) {
  World& world = World::instance();
  Lock lock(world.mutex);
  Thread& thread = world.this_thread();
  if (const int error = world.begin_call("cuEventElapsedTime_v2")) return error;
  if (world.driver_needs_context && !thread.has_context()) return kInvalidContext;
  if (const int error = world.begin_call("cudaEventElapsedTime")) return error;
  Call context{world, thread, lock};
  return elapsed(context, ms, begin, end);
}
