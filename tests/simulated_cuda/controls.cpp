// SPDX-License-Identifier: BSD-3-Clause
// The controls of the simulation; simulated.h is their contract.
#include <dlfcn.h>

#include "simulated.h"
#include "world.h"

using namespace simulated;

namespace {

// A control takes the lock. It is not counted and never fails on request.
template <class Body>
auto control(Body body) {
  World& world = World::instance();
  Lock lock(world.mutex);
  return body(world);
}

template <class Body>
auto with_stream(void* handle, Body body) {
  return control(
      [&](World& world) { return body(world, world.find_stream(world.this_thread(), handle)); });
}

void advance(World& world, int64_t ns) {
  world.now_ns += ns > 0 ? ns : 0;
  world.settle();
  world.changed.notify_all();
}

bool is_runtime_function(const char* name) {
  Dl_info self{};
  if (!dladdr(reinterpret_cast<void*>(&sim_reset), &self)) return false;
  void* library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  const bool found = library && dlsym(library, name);
  if (library) dlclose(library);
  return found;
}

}  // namespace

SIMULATED_EXPORT void sim_reset() {
  control([](World& world) { world.reset(); });
}

SIMULATED_EXPORT void sim_set_devices(int count) {
  control([&](World& world) { world.device_count = count; });
}

SIMULATED_EXPORT int64_t fasttime_host_now_ns() {
  return control([](World& world) { return world.now_ns; });
}

SIMULATED_EXPORT void fasttime_pause(int64_t ns) {
  control([&](World& world) {
    world.begin_call("fasttime_pause");
    advance(world, ns);
  });
  std::this_thread::yield();
}

SIMULATED_EXPORT void sim_advance(int64_t ns) {
  control([&](World& world) { advance(world, ns); });
}

SIMULATED_EXPORT void sim_restart_clock() {
  control([](World& world) { world.now_ns = kStartNs; });
}

SIMULATED_EXPORT void sim_set_host_cost(int64_t ns) {
  control([&](World& world) { world.host_cost_ns = ns; });
}

SIMULATED_EXPORT void sim_set_launch_time(int64_t ns) {
  control([&](World& world) { world.launch_ns = ns; });
}

SIMULATED_EXPORT void sim_set_event_time(int64_t ns) {
  control([&](World& world) { world.event_ns = ns; });
}

SIMULATED_EXPORT void sim_enqueue(void* handle, int64_t ns) {
  with_stream(handle, [&](World& world, Stream* stream) {
    if (!stream) return;
    if (stream->capture) {
      world.add_node(*stream, Node{ns, nullptr, nullptr});
    } else {
      stream->entries.push_back(world.issue(*stream, ns));
    }
  });
}

SIMULATED_EXPORT void sim_hold(void* handle) {
  with_stream(handle, [](World& world, Stream* stream) {
    if (stream) world.hold(*stream);
  });
}

SIMULATED_EXPORT void sim_release(void* handle) {
  with_stream(handle, [](World& world, Stream* stream) {
    if (stream) world.release(*stream);
  });
}

SIMULATED_EXPORT int64_t sim_backlog_ns(void* handle) {
  return with_stream(handle, [](World& world, Stream* stream) -> int64_t {
    if (!stream) return 0;
    world.settle();
    const int64_t done_ns = stream->last->done_ns;
    if (done_ns == kUnknown) return -1;
    return done_ns > world.now_ns ? done_ns - world.now_ns : 0;
  });
}

SIMULATED_EXPORT void sim_set_queue_limit(int64_t entries) {
  control(
      [&](World& world) { world.queue_limit = entries > 0 ? static_cast<size_t>(entries) : 0; });
}

SIMULATED_EXPORT void sim_set_one_queue(int on) {
  control([&](World& world) { world.has_one_queue = on != 0; });
}

SIMULATED_EXPORT void sim_set_hardware_queue(void* handle, int number) {
  with_stream(handle, [&](World&, Stream* stream) -> int64_t {
    if (stream) stream->hardware_queue = number;
    return 0;
  });
}

SIMULATED_EXPORT void sim_hold_allocations(int on) {
  control([&](World& world) {
    world.holds_allocations = on != 0;
    world.changed.notify_all();
  });
}

SIMULATED_EXPORT int64_t sim_capture_nodes(void* handle) {
  return with_stream(handle, [](World&, Stream* stream) -> int64_t {
    if (!stream || !stream->capture) return -1;
    return static_cast<int64_t>(stream->capture->graph->nodes.size()) +
           stream->capture->plain_records;
  });
}

SIMULATED_EXPORT int sim_capture_alive(void* handle) {
  return with_stream(handle, [](World&, Stream* stream) -> int {
    return stream && stream->capture && stream->capture->is_alive;
  });
}

SIMULATED_EXPORT int sim_fail(const char* function, int error, int64_t after, int64_t times) {
  if (!is_runtime_function(function)) return -1;
  control([&](World& world) { world.faults[function].push_back({error, after, times}); });
  return 0;
}

SIMULATED_EXPORT void sim_set_sticky(int error) {
  control([&](World& world) { world.sticky_error = error; });
}

SIMULATED_EXPORT void sim_set_timer_step(int64_t ns) {
  control([&](World& world) { world.timer_step_ns = ns; });
}

SIMULATED_EXPORT void sim_set_stamp_time(int64_t ns) {
  control([&](World& world) { world.stamp_ns = ns; });
}

SIMULATED_EXPORT int64_t sim_calls(const char* function) {
  return control([&](World& world) -> int64_t {
    const auto found = world.calls.find(function);
    return found == world.calls.end() ? 0 : found->second;
  });
}

SIMULATED_EXPORT int64_t sim_calls_without_gil(const char* function) {
  return control([&](World& world) -> int64_t {
    const auto found = world.calls_without_gil.find(function);
    return found == world.calls_without_gil.end() ? 0 : found->second;
  });
}

SIMULATED_EXPORT int64_t sim_events_alive() {
  return control([](World& world) { return world.events_alive; });
}

SIMULATED_EXPORT int64_t sim_rerecorded_in_flight() {
  return control([](World& world) { return world.rerecorded_in_flight; });
}

SIMULATED_EXPORT int64_t sim_used_after_destroy() {
  return control([](World& world) { return world.used_after_destroy; });
}

SIMULATED_EXPORT void sim_set_current_stream(int32_t device, void* stream) {
  control([&](World& world) {
    Thread& thread = world.this_thread();
    thread.torch_streams[device < 0 ? thread.current() : device] = stream;
  });
}

SIMULATED_EXPORT void sim_set_torch_device(int device) {
  control([&](World& world) { world.this_thread().torch_device = device; });
}

SIMULATED_EXPORT void sim_set_unused(int device) {
  control([&](World& world) { world.started.erase(device); });
}

SIMULATED_EXPORT int sim_is_started(int device) {
  return control([&](World& world) { return world.started.count(device) != 0 ? 1 : 0; });
}

SIMULATED_EXPORT void sim_set_driver_needs_context(int on) {
  control([&](World& world) { world.driver_needs_context = on != 0; });
}
