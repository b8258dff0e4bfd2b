// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The controls of the simulated CUDA runtime. Thread-safe; no control waits. Time is virtual, in
// ns, on one clock for the host and all devices. The clock only moves in sim_advance and
// fasttime_pause, by the cost that sim_set_host_cost sets, and in calls that wait for the device:
// these move it to the moment that they wait for. A `stream` is a handle of the runtime; NULL is
// the default stream of the current device.

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Resets everything: clock, devices, streams, faults, counters. Existing handles stay usable
// (streams empty, events never recorded) but no longer count. Held work is released.
void sim_reset(void);
void sim_set_devices(int count);  // default 2

// The clock. The library under test uses the two fasttime_ functions as its host clock and for its
// pauses.
int64_t fasttime_host_now_ns(void);
void fasttime_pause(int64_t ns);  // moves the clock, and lets another thread run
void sim_advance(int64_t ns);
// The clock starts anew, as a host clock may after a suspension. Work keeps its old times.
void sim_restart_clock(void);
// Sets the host time of every record, launch and copy; default 0.
void sim_set_host_cost(int64_t ns);
// Sets the device time of a kernel or an asynchronous copy; default 10,000.
void sim_set_launch_time(int64_t ns);
// Sets the device time of a record; default 0. The event's time is its end, so an empty pair of
// events reads this time. Does not apply to records in a graph.
void sim_set_event_time(int64_t ns);

// Work and latches. Work on a held stream completes only after sim_release, in order. sim_enqueue
// adds ns of device work and never waits, whatever the queue limit.
void sim_enqueue(void* stream, int64_t ns);
void sim_hold(void* stream);
void sim_release(void* stream);
int64_t sim_backlog_ns(void* stream);  // work ahead of the next launch; -1 while held
// The limit of each stream's queue; 0: no limit. A record or launch into a full queue waits for the
// oldest entry: it moves the clock to the completion of that entry, or really waits for another
// thread if the entry is behind a latch.
void sim_set_queue_limit(int64_t entries);
// 1: the streams of a device share one queue, as with CUDA_DEVICE_MAX_CONNECTIONS=1.
void sim_set_one_queue(int on);
// Streams with the same number, except 0, share a hardware queue: their work runs in the order of
// its issue.
void sim_set_hardware_queue(void* stream, int number);
// 1: allocations wait, as cudaMalloc and cudaHostAlloc may; 0: they continue.
void sim_hold_allocations(int on);

// The devices' timer, and the kernels that write it (fasttime's stamps).
void sim_set_timer_step(int64_t ns);  // default 1
void sim_set_stamp_time(int64_t ns);  // the device time of each such kernel; default 0

// Captures.
// The number of operations in the capture so far, including plain records; -1: the stream is not
// capturing.
int64_t sim_capture_nodes(void* stream);
int sim_capture_alive(void* stream);  // 1 capturing, 0 not capturing or destroyed

// Faults. The next `after` calls of `function` succeed. Then `times` calls (all if negative) fail
// with `error` and do nothing else. Returns 0, or -1 if there is no such function.
int sim_fail(const char* function, int error, int64_t after, int64_t times);
void sim_set_sticky(int error);  // every call returns this, as after a crashed kernel; 0: off

// Counters since the last reset.
int64_t sim_calls(const char* function);
// How many of them were made without the GIL. Needs a process with one Python thread.
int64_t sim_calls_without_gil(const char* function);
int64_t sim_events_alive(void);
// Records of an event whose previous record was not complete.
int64_t sim_rerecorded_in_flight(void);
// Calls with a destroyed event or stream.
int64_t sim_used_after_destroy(void);

// Sets what aoti_torch_get_current_cuda_stream returns on this thread (device -1: the current one).
void sim_set_current_stream(int32_t device, void* stream);
// Sets the device that torch uses next on this thread without making it current; -1: the current
// device.
void sim_set_torch_device(int device);
// Makes the device unused by this process: it has no context until a call needs one.
void sim_set_unused(int device);
int sim_is_started(int device);
// 1: on a thread that has not called the runtime, cuStreamIsCapturing(NULL) and cuEventRecord on
// NULL return 201, as the driver does. So does cuEventElapsedTime_v2, which the driver might.
void sim_set_driver_needs_context(int on);

#ifdef __cplusplus
}
#endif
