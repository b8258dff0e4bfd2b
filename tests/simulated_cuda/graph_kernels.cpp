// SPDX-License-Identifier: BSD-3-Clause
// The kernels with which fasttime times scopes inside CUDA graphs: loading, launching, and their
// effect once the device has run them. Every other kernel computes nothing.
#include <algorithm>
#include <cstring>

#include "world.h"

using namespace simulated;

namespace {

constexpr int kNotFound = 500;
// The timer of a device does not count from the same moment as the host's clock.
constexpr int64_t kTimerStartNs = 1'700'000'000'000'000'000;
constexpr size_t kCounters = 16384;

int g_module = 0;
int g_functions[2] = {Kernel::kStamp, Kernel::kTimerStep};

template <class Body>
int driver_call(const char* function, Body body) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call(function)) return error;
  Thread& thread = world.this_thread();
  if (!thread.has_context()) return kInvalidContext;
  Call context{world, thread, lock};
  return body(context);
}

template <class T>
T parameter(void** parameters, size_t index) {
  T value;
  std::memcpy(&value, parameters[index], sizeof value);
  return value;
}

KernelPtr kernel_of(int which, int device, void** parameters) {
  auto kernel = std::make_shared<Kernel>();
  kernel->which = static_cast<Kernel::Which>(which);
  kernel->device = device;
  kernel->memory = parameter<uint64_t*>(parameters, 0);
  if (which == Kernel::kStamp) {
    kernel->base = parameter<uint64_t>(parameters, 1);
    kernel->first_base = parameter<uint64_t>(parameters, 2);
    kernel->slot = parameter<uint32_t>(parameters, 3);
    kernel->first = parameter<uint32_t>(parameters, 4);
    kernel->mask = parameter<uint32_t>(parameters, 5);
  }
  return kernel;
}

void store(uint64_t* word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

}  // namespace

// Loading a module is unsafe during a capture.
SIMULATED_EXPORT int cuModuleLoadData(void** module, const void* image) {
  return driver_call("cuModuleLoadData", [&](Call& c) -> int {
    if (const int error = c.world.refuse_unsafe(c.thread)) return error;
    if (!image || !std::strstr(static_cast<const char*>(image), ".entry fasttime_stamp"))
      return kInvalidValue;
    *module = &g_module;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cuModuleGetFunction(void** function, void* module, const char* name) {
  return driver_call("cuModuleGetFunction", [&](Call&) -> int {
    if (module != &g_module) return kInvalidHandle;
    const bool is_stamp = std::strcmp(name, "fasttime_stamp") == 0;
    if (!is_stamp && std::strcmp(name, "fasttime_timer_step") != 0) return kNotFound;
    *function = &g_functions[is_stamp ? 0 : 1];
    return kSuccess;
  });
}

SIMULATED_EXPORT int cuLaunchKernel(void* function, unsigned, unsigned, unsigned, unsigned,
                                    unsigned, unsigned, unsigned, void* handle, void** parameters,
                                    void**) {
  return driver_call("cuLaunchKernel", [&](Call& c) -> int {
    if (function != &g_functions[0] && function != &g_functions[1]) return kInvalidHandle;
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream || stream->device != c.thread.current()) return kInvalidHandle;
    if (const int error = c.world.refuse_implicit(*stream)) return error;
    const KernelPtr kernel = kernel_of(*static_cast<int*>(function), stream->device, parameters);
    if (stream->capture) {
      if (!stream->capture->is_alive) return kCaptureInvalidated;
      c.world.add_node(*stream, Node{c.world.stamp_ns, nullptr, kernel});
      return kSuccess;
    }
    if (const int error = c.world.admit(c.lock, *stream)) return error;
    const TicketPtr done = c.world.issue(*stream, c.world.stamp_ns);
    stream->entries.push_back(done);
    c.world.run(done, kernel);
    return kSuccess;
  });
}

// ---- the model ----------------------------------------------------------------------------------

namespace simulated {

void World::add_node(Stream& stream, Node node) {
  stream.capture->graph->nodes.push_back(std::make_shared<Node>(std::move(node)));
  stream.dependencies = {stream.capture->graph->nodes.back().get()};
}

void World::release(std::vector<UserObject*>& objects) {
  for (UserObject* object : objects) {
    if (--object->references == 0) object->destroy(object->pointer);
  }
  objects.clear();
}

void World::run(const TicketPtr& done, const KernelPtr& kernel) {
  runs_.push_back({done, kernel});
  take_effect();
}

void World::let_go(Executable& executable) {
  if (executable.last_launch) {
    dying_.emplace_back(executable.last_launch, std::move(executable.objects));
    executable.objects.clear();
    settle();
  } else {
    release(executable.objects);
  }
}

// In the order in which the kernels ended, over all streams.
void World::take_effect() {
  const auto first_waiting = std::stable_partition(
      runs_.begin(), runs_.end(), [this](const Run& run) { return is_done(run.done); });
  std::stable_sort(runs_.begin(), first_waiting, [](const Run& one, const Run& other) {
    return one.done->done_ns < other.done->done_ns;
  });
  for (auto run = runs_.begin(); run != first_waiting; ++run) {
    execute(*run->kernel, run->done->done_ns);
  }
  runs_.erase(runs_.begin(), first_waiting);
  for (size_t i = 0; i < dying_.size();) {
    if (is_done(dying_[i].first)) {
      release(dying_[i].second);
      dying_.erase(dying_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

void World::execute(const Kernel& kernel, int64_t at_ns) {
  if (kernel.which == Kernel::kTimerStep) {
    store(kernel.memory, static_cast<uint64_t>(timer_step_ns));
    store(kernel.memory + 1, static_cast<uint64_t>(timer_step_ns));
    store(kernel.memory + 2, 33);
    return;
  }
  auto& counts = stamp_counts[kernel.device];
  counts.resize(kCounters);
  const uint64_t pass = counts[kernel.slot]++ - kernel.base;
  const uint64_t begun = counts[kernel.first] - kernel.first_base;
  const auto time = static_cast<uint64_t>((kTimerStartNs + at_ns) / timer_step_ns * timer_step_ns);
  uint64_t* entry = kernel.memory + 2 * (pass & kernel.mask);
  store(entry, time << 16 | (pass & 0xffff));
  store(entry + 1, (pass + 1) << 1 | (begun == pass + 1 ? 1 : 0));
}

}  // namespace simulated
