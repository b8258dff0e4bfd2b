// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// How a test steers the simulated CUDA runtime. All functions may be called from any thread; none
// waits. Time is virtual, in ns, one clock for the host and all devices; it moves only by
// sim_advance, fasttime_pause, sim_set_host_cost and by calls that wait for the device (these move
// it to the moment they wait for). A `stream` is a handle of the runtime; NULL is the current
// device's default stream.

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Everything back to the start: clock, devices, streams, faults, counters. Handles already given
// out stay usable (streams empty, events never recorded) but count no longer; held work is let go.
void sim_reset(void);
void sim_set_devices(int count);  // default 2

// The clock. The two fasttime_ names are what the library's table takes for its host clock and its
// pauses.
int64_t fasttime_host_now_ns(void);
void fasttime_pause(int64_t ns);  // moves the clock, and lets another thread run
void sim_advance(int64_t ns);
// The clock starts anew, as a host clock may after a suspension. Work keeps its old times.
void sim_restart_clock(void);
// What every record, launch and copy takes the host; default 0.
void sim_set_host_cost(int64_t ns);
// What a kernel or an asynchronous copy takes the device; default 10,000.
void sim_set_launch_time(int64_t ns);
// What a record takes the device, with its time at the end of that, so that an empty pair of events
// reads it; default 0. Not for what is recorded into a graph.
void sim_set_event_time(int64_t ns);

// Work and latches. What is issued to a held stream completes only after sim_release, and in order.
// sim_enqueue adds ns of device work and never waits, whatever the queue limit.
void sim_enqueue(void* stream, int64_t ns);
void sim_hold(void* stream);
void sim_release(void* stream);
int64_t sim_backlog_ns(void* stream);  // work in front of the next launch; -1 while held
// Per stream; 0: no limit. A record or launch into a full queue waits for the oldest entry: it
// moves the clock to its completion, or really waits for another thread where a latch is in front
// of it.
void sim_set_queue_limit(int64_t entries);
// 1: the streams of a device share one queue, as under CUDA_DEVICE_MAX_CONNECTIONS=1.
void sim_set_one_queue(int on);
// 1: allocations wait, as cudaMalloc and cudaHostAlloc may for the device; 0 lets them go on.
void sim_hold_allocations(int on);

// Captures.
// How much was issued into the capture so far, plain records included; -1: the stream captures
// nothing.
int64_t sim_capture_nodes(void* stream);
int sim_capture_alive(void* stream);  // 1 capturing, 0 not capturing or destroyed

// Faults. From now on the first `after` calls of `function` succeed and the `times` calls after
// them (times < 0: all) fail with `error` and do nothing else. Returns 0, or -1: no such function.
int sim_fail(const char* function, int error, int64_t after, int64_t times);
void sim_set_sticky(int error);  // every call answers this, as after a crashed kernel; 0 ends it

// Counters since the last reset. A function never called has 0 calls.
int64_t sim_calls(const char* function);
int64_t sim_events_alive(void);
// Records of an event whose previous record had not completed.
int64_t sim_rerecorded_in_flight(void);
// Calls that were given a destroyed event or stream.
int64_t sim_used_after_destroy(void);

// What aoti_torch_get_current_cuda_stream answers on this thread (device -1: the current one).
void sim_set_current_stream(int32_t device, void* stream);
// What torch works on next on this thread, which is not made current; -1: the current device.
void sim_set_torch_device(int device);
// As in a process that has not used the device yet: its context is not there, until a call needs
// it.
void sim_set_unused(int device);
int sim_is_started(int device);
// 1: on a thread that has made no runtime call yet cuStreamIsCapturing(NULL) and cuEventRecord on
// NULL answer 201, as the driver does, and so does cuEventElapsedTime_v2, which might.
void sim_set_driver_needs_context(int on);

#ifdef __cplusplus
}
#endif
