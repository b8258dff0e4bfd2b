// SPDX-License-Identifier: BSD-3-Clause
#include "world.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>

namespace simulated {

namespace {

// A forgotten release must fail its test instead of hanging it: a real wait ends with
// cudaErrorUnknown. (The error for a time-out would mean that the device is lost.)
constexpr std::chrono::seconds kPatience{20};

bool is_open(const ValueWait& wait) {
  // Another thread, such as the library's watchdog, writes without a lock of the simulation.
  const uint32_t word = __atomic_load_n(wait.address, __ATOMIC_ACQUIRE);
  switch (wait.condition & 3u) {
    case 0:
      return static_cast<int32_t>(word - wait.value) >= 0;
    case 1:
      return word == wait.value;
    case 2:
      return (word & wait.value) != 0;
    default:
      return ~(word | wait.value) != 0;
  }
}

}  // namespace

World& World::instance() {
  static World& world = *new World;
  return world;
}

Thread& World::this_thread() {
  thread_local Thread thread;
  if (thread.era != era) {
    thread = Thread{};
    thread.era = era;
  }
  return thread;
}

void World::reset() {
  for (auto& stream : streams_) release(*stream);
  for (auto& wait : value_waits) wait.opened->done_ns = now_ns;
  settle();
  changed.notify_all();

  ++era;
  now_ns = kStartNs;
  device_count = 2;
  host_cost_ns = 0;
  launch_ns = 10'000;
  event_ns = 0;
  queue_limit = 0;
  has_one_queue = false;
  holds_allocations = false;
  driver_needs_context = false;
  sticky_error = kSuccess;
  started = {0, 1};
  calls.clear();
  calls_without_gil.clear();
  faults.clear();
  events_alive = rerecorded_in_flight = used_after_destroy = 0;
  captures.clear();
  value_waits.clear();
  runs_.clear();
  dying_.clear();
  stamp_counts.clear();
  timer_step_ns = 1;
  stamp_ns = 0;
  for (auto& stream : streams_) {
    stream->tail_ns = 0;
    stream->hardware_queue = 0;
    stream->entries.clear();
    stream->last = std::make_shared<Ticket>(Ticket{0});
    stream->capture.reset();
  }
  for (auto& event : events_) event->state = Event::kNever;
}

Stream* World::make_stream(int device, bool is_blocking, int priority) {
  auto stream = std::make_unique<Stream>();
  stream->device = device;
  stream->is_blocking = is_blocking;
  stream->priority = priority;
  stream->last->done_ns = 0;
  stream_handles_.insert(stream.get());
  streams_.push_back(std::move(stream));
  return streams_.back().get();
}

Event* World::make_event(int device, bool timing_enabled) {
  auto event = std::make_unique<Event>();
  event->device = device;
  event->timing_enabled = timing_enabled;
  event->era = era;
  ++events_alive;
  event_handles_.insert(event.get());
  events_.push_back(std::move(event));
  return events_.back().get();
}

Stream* World::find_stream(Thread& thread, void* handle) {
  const auto number = reinterpret_cast<uintptr_t>(handle);
  if (number <= 1) {  // NULL and cudaStreamLegacy
    Stream*& legacy = legacy_streams_[thread.current()];
    if (!legacy) {
      legacy = make_stream(thread.current(), true, 0);
      legacy->is_legacy = true;
    }
    return legacy;
  }
  if (number == 2) {  // cudaStreamPerThread
    Stream*& own = thread.per_thread_streams[thread.current()];
    if (!own) own = make_stream(thread.current(), true, 0);
    return own;
  }
  if (!stream_handles_.count(handle)) return nullptr;
  auto* stream = static_cast<Stream*>(handle);
  if (stream->is_alive) return stream;
  ++used_after_destroy;
  return nullptr;
}

Event* World::find_event(void* handle) {
  if (!event_handles_.count(handle)) return nullptr;
  auto* event = static_cast<Event*>(handle);
  if (event->is_alive) return event;
  ++used_after_destroy;
  return nullptr;
}

std::vector<TicketPtr> World::last_of_device(int device) const {
  std::vector<TicketPtr> tickets;
  for (const auto& stream : streams_) {
    if (stream->device == device) tickets.push_back(stream->last);
  }
  return tickets;
}

void World::order_after(Stream& stream, const TicketPtr& ticket) {
  if (is_done(ticket)) return;
  stream.waiting.push_back({now_ns, 0, ticket, std::make_shared<Ticket>()});
}

TicketPtr World::issue(Stream& stream, int64_t work_ns, TicketPtr after) {
  // The legacy stream and the blocking streams of its device wait for each other.
  if (stream.is_blocking) {
    for (auto& other : streams_) {
      if (other.get() != &stream && other->device == stream.device && other->is_blocking &&
          other->is_legacy != stream.is_legacy) {
        order_after(stream, other->last);
      }
    }
  }
  for (auto& other : streams_) {
    if (stream.hardware_queue != 0 && other->hardware_queue == stream.hardware_queue) {
      order_after(stream, other->last);
    }
  }
  stream.last = std::make_shared<Ticket>();
  stream.waiting.push_back({now_ns, work_ns, std::move(after), stream.last});
  TicketPtr done = stream.last;
  settle();
  return done;
}

bool World::settle_stream(Stream& stream) {
  bool progressed = false;
  while (!stream.waiting.empty()) {
    const Operation& next = stream.waiting.front();
    int64_t begin_ns = std::max(stream.tail_ns, next.issued_ns);
    if (next.after) {
      if (next.after->done_ns == kUnknown) break;
      begin_ns = std::max(begin_ns, next.after->done_ns);
    }
    stream.tail_ns = next.done->done_ns = begin_ns + next.work_ns;
    stream.waiting.pop_front();
    progressed = true;
  }
  return progressed;
}

void World::settle() {
  for (size_t i = 0; i < value_waits.size();) {
    if (is_open(value_waits[i])) {
      value_waits[i].opened->done_ns = now_ns;
      value_waits.erase(value_waits.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  // Streams wait for one another, so one pass may open the way for the next.
  bool progressed = true;
  while (progressed) {
    progressed = false;
    for (auto& stream : streams_) progressed |= settle_stream(*stream);
  }
  take_effect();
}

void World::hold(Stream& stream) {
  stream.holds.push_back(std::make_shared<Ticket>());
  issue(stream, 0, stream.holds.back());
}

void World::release(Stream& stream) {
  for (auto& latch : stream.holds) latch->done_ns = now_ns;
  stream.holds.clear();
  settle();
  changed.notify_all();
}

int World::wait(Lock& lock, const TicketPtr& ticket) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    settle();
    if (ticket->done_ns != kUnknown) {
      now_ns = std::max(now_ns, ticket->done_ns);
      take_effect();
      changed.notify_all();
      return kSuccess;
    }
    if (std::chrono::steady_clock::now() > deadline) return kUnknownError;
    // A word in memory changes without a notification, so it is polled.
    changed.wait_for(lock, std::chrono::milliseconds(value_waits.empty() ? 200 : 1));
  }
}

int World::wait_for_allocations(Lock& lock) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (holds_allocations) {
    if (std::chrono::steady_clock::now() > deadline) return kUnknownError;
    changed.wait_for(lock, std::chrono::milliseconds(200));
  }
  return kSuccess;
}

int World::admit(Lock& lock, Stream& stream) {
  now_ns += host_cost_ns;
  if (queue_limit == 0) return kSuccess;
  for (;;) {
    settle();
    size_t entries = 0;
    TicketPtr oldest;
    for (auto& other : streams_) {
      if (other.get() != &stream && !(has_one_queue && other->device == stream.device)) continue;
      auto& queue = other->entries;
      while (!queue.empty() && is_done(queue.front())) queue.pop_front();
      if (!queue.empty()) oldest = queue.front();
      entries += queue.size();
    }
    if (entries < queue_limit) return kSuccess;
    if (const int error = wait(lock, oldest)) return error;
  }
}

void World::stamp(Event& event, Stream& stream) {
  if (event.state == Event::kRecorded && !is_done(event.record)) ++rerecorded_in_flight;
  event.record = issue(stream, event_ns);
  event.state = Event::kRecorded;
}

int World::refuse_unsafe(Thread& thread) {
  if (thread.capture_mode == kModeRelaxed) return kSuccess;
  int error = kSuccess;
  for (auto& capture : captures) {
    const bool is_own = capture->owner == std::this_thread::get_id();
    const bool is_hostile =
        is_own ? capture->mode != kModeRelaxed
               : capture->mode == kModeGlobal && thread.capture_mode == kModeGlobal;
    if (!is_hostile) continue;
    capture->is_alive = false;
    error = kCaptureUnsupported;
  }
  return error;
}

Capture* World::implicit_capture(Stream& stream) {
  if (!stream.is_legacy) return nullptr;
  for (auto& capture : captures) {
    if (!capture->is_alive) continue;
    for (const Stream* member : capture->members) {
      if (member->is_blocking && member->device == stream.device) return capture.get();
    }
  }
  return nullptr;
}

int World::refuse_implicit(Stream& stream) {
  Capture* capture = implicit_capture(stream);
  if (!capture) return kSuccess;
  capture->is_alive = false;
  return kCaptureImplicit;
}

void World::leave_capture(const CapturePtr& capture) {
  for (Stream* member : capture->members) {
    member->capture.reset();
    member->dependencies.clear();
  }
  if (!capture->is_alive) release(capture->graph->objects);
  captures.erase(std::remove(captures.begin(), captures.end(), capture), captures.end());
}

// Whether a thread holds the GIL; true in a process without Python. Up to Python 3.11, the answer
// is about the whole process, so it only says something while one Python thread runs.
static bool holds_gil() {
  using CurrentState = void* (*)();
  static const auto current = [] {
    void* found = dlsym(RTLD_DEFAULT, "PyThreadState_GetUnchecked");  // from Python 3.13 on
    return reinterpret_cast<CurrentState>(
        found ? found : dlsym(RTLD_DEFAULT, "_PyThreadState_UncheckedGet"));
  }();
  return !current || current();
}

int World::begin_call(const char* function) {
  auto found = calls.find(function);
  if (found == calls.end()) found = calls.emplace(function, 0).first;
  ++found->second;
  if (!holds_gil()) ++calls_without_gil[function];
  settle();
  if (sticky_error != kSuccess) return sticky_error;
  auto ordered = faults.find(function);
  if (ordered == faults.end()) return kSuccess;
  int error = kSuccess;
  for (Fault& fault : ordered->second) {
    if (fault.after > 0) {
      --fault.after;
    } else if (fault.times != 0 && error == kSuccess) {
      if (fault.times > 0) --fault.times;
      error = fault.error;
    }
  }
  return error;
}

}  // namespace simulated
