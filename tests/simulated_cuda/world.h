// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The model behind the runtime's functions: streams as queues on a virtual clock, events, captures.
// There is one World per process. It is never destroyed, because threads and atexit handlers may
// call after static destructors. World::mutex guards everything; each function here expects it
// held.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cuda_abi.h"

namespace simulated {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
constexpr int64_t kStartNs = 1'000'000;

// When a piece of work completes. Unknown while earlier work is held; then set once.
struct Ticket {
  int64_t done_ns = kUnknown;
};
using TicketPtr = std::shared_ptr<Ticket>;

struct Event;
struct Stream;

// A launch of one of fasttime's kernels, which alone have an effect.
struct Kernel {
  enum Which { kStamp, kTimerStep };
  Which which = kStamp;
  int device = 0;
  uint64_t* memory = nullptr;
  uint64_t base = 0, first_base = 0;
  uint32_t slot = 0, first = 0, mask = 0;
};
using KernelPtr = std::shared_ptr<const Kernel>;

struct Node {
  int64_t work_ns = 0;
  Event* stamps = nullptr;  // an external record
  KernelPtr kernel;
};

// Calls `destroy` when the last graph that holds it is gone.
struct UserObject {
  void* pointer;
  void (*destroy)(void*);
  int64_t references;
};

struct Graph {
  std::vector<std::shared_ptr<Node>> nodes;
  std::vector<UserObject*> objects;
};

struct Executable {
  std::vector<Node> nodes;
  std::vector<const Node*> sources;  // for each node, the graph's node
  std::vector<UserObject*> objects;
  TicketPtr last_launch;
};

struct Capture {
  uint64_t id = 0;
  int mode = kModeGlobal;
  std::thread::id owner;
  bool is_alive = true;
  Stream* origin = nullptr;
  std::vector<Stream*> members;
  int64_t plain_records = 0;  // dependencies without a time, not nodes
  Graph* graph = nullptr;
};
using CapturePtr = std::shared_ptr<Capture>;

struct Operation {
  int64_t issued_ns;
  int64_t work_ns;
  TicketPtr after;  // may be null
  TicketPtr done;
};

struct Stream {
  int device = 0;
  bool is_blocking = true;
  bool is_legacy = false;
  int priority = 0;
  int hardware_queue = 0;  // streams with the same number share one; 0: its own
  bool is_alive = true;
  int64_t tail_ns = 0;            // completion of everything that left `waiting`
  std::deque<Operation> waiting;  // behind work whose time is unknown
  std::deque<TicketPtr> entries;  // the launch queue: issued work that may not be complete
  std::vector<TicketPtr> holds;   // latches that are not released
  TicketPtr last = std::make_shared<Ticket>();
  CapturePtr capture;
  std::vector<Node*> dependencies;  // in a capture: what the next node will follow
};

struct Event {
  enum State { kNever, kRecorded, kCaptured };
  int device = 0;
  bool timing_enabled = true;
  State state = kNever;
  bool is_alive = true;
  uint64_t era = 0;
  TicketPtr record;
  std::weak_ptr<Capture> captured_in;
  std::vector<Node*> captured_after;
};

// cuStreamWaitValue32: opens when a word in host memory meets the condition.
struct ValueWait {
  const volatile uint32_t* address;
  uint32_t value;
  unsigned condition;
  TicketPtr opened;
};

struct Memory {
  size_t bytes;
  int device;
  bool is_host;
};

struct Fault {
  int error;
  int64_t after;
  int64_t times;
};

// The state of one thread. It starts anew after a reset, which `era` tells.
struct Thread {
  uint64_t era = 0;
  int device = 0;
  std::vector<int> pushed;  // contexts pushed by the driver; a device stands for its context
  int last_error = kSuccess;
  int capture_mode = kModeGlobal;
  bool is_bound = false;  // the runtime has made the device's context current here
  std::map<int, Stream*> per_thread_streams;
  std::map<int, void*> torch_streams;
  int torch_device = -1;  // the device that torch uses next without making it current; -1: none

  int current() const { return pushed.empty() ? device : pushed.back(); }
  void make_current(int other) { (pushed.empty() ? device : pushed.back()) = other; }
  bool has_context() const { return is_bound || !pushed.empty(); }
};

using Lock = std::unique_lock<std::mutex>;

class World {
 public:
  static World& instance();
  Thread& this_thread();
  void reset();

  // Handles. Null for an unknown or destroyed handle; destroyed ones are counted.
  Stream* find_stream(Thread& thread, void* handle);
  Event* find_event(void* handle);
  Stream* make_stream(int device, bool is_blocking, int priority);
  Event* make_event(int device, bool timing_enabled);
  std::vector<TicketPtr> last_of_device(int device) const;

  // Queues.
  TicketPtr issue(Stream& stream, int64_t work_ns, TicketPtr after = nullptr);
  void hold(Stream& stream);
  void release(Stream& stream);
  void settle();  // gives a time to all work that can have one
  bool is_done(const TicketPtr& ticket) const { return ticket->done_ns <= now_ns; }
  // Waits for the device: moves the clock if the moment is known, otherwise really waits for
  // another thread.
  int wait(Lock& lock, const TicketPtr& ticket);
  // Really waits until allocations are no longer held.
  int wait_for_allocations(Lock& lock);
  // Waits for room in the launch queue, and adds the host's cost of one call.
  int admit(Lock& lock, Stream& stream);
  void stamp(Event& event, Stream& stream);

  // Captures.
  int refuse_unsafe(Thread& thread);  // 900 during a capture that forbids it, which it destroys
  Capture* implicit_capture(
      Stream& stream);                  // a capture that forbids the use of this legacy stream
  int refuse_implicit(Stream& stream);  // 906 during such a capture, which it destroys
  void leave_capture(const CapturePtr& capture);
  void add_node(Stream& stream, Node node);  // to the graph that the stream captures
  void release(std::vector<UserObject*>& objects);

  // Lets a kernel take effect once the clock reaches its end.
  void run(const TicketPtr& done, const KernelPtr& kernel);
  // Lets go of the objects of an executable graph once its last launch is done.
  void let_go(Executable& executable);

  // The first call that needs a context on a device starts the device, for good.
  void start(int device) { started.insert(device); }

  // Counts a call, and returns the error with which it is to fail.
  int begin_call(const char* function);

  std::mutex mutex;
  std::condition_variable changed;  // the clock moved, or held work was released

  uint64_t era = 1;
  int64_t now_ns = kStartNs;
  int device_count = 2;
  int64_t host_cost_ns = 0;
  int64_t launch_ns = 10'000;
  int64_t event_ns = 0;
  size_t queue_limit = 0;
  bool has_one_queue = false;
  bool holds_allocations = false;
  bool driver_needs_context = false;
  int sticky_error = kSuccess;
  int64_t timer_step_ns = 1;
  int64_t stamp_ns = 0;
  std::map<int, std::vector<uint64_t>> stamp_counts;  // by device
  uint64_t next_capture_id = 1;

  std::map<std::string, int64_t, std::less<>> calls;
  std::map<std::string, int64_t, std::less<>> calls_without_gil;
  std::map<std::string, std::vector<Fault>, std::less<>> faults;
  int64_t events_alive = 0;
  int64_t rerecorded_in_flight = 0;
  int64_t used_after_destroy = 0;

  std::set<int> started{0, 1};
  std::vector<CapturePtr> captures;
  std::vector<ValueWait> value_waits;
  std::map<void*, Memory> memory;
  std::unordered_set<void*> graphs;  // Graph and Executable, to recognise an invalid handle

 private:
  World() = default;
  void order_after(Stream& stream, const TicketPtr& ticket);
  bool settle_stream(Stream& stream);
  void take_effect();
  void execute(const Kernel& kernel, int64_t at_ns);

  struct Run {
    TicketPtr done;
    KernelPtr kernel;
  };
  std::vector<Run> runs_;
  std::vector<std::pair<TicketPtr, std::vector<UserObject*>>> dying_;

  // Never shrink: an old handle must not become a dangling pointer.
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Event>> events_;
  std::unordered_set<void*> stream_handles_;
  std::unordered_set<void*> event_handles_;
  std::map<int, Stream*> legacy_streams_;
};

struct Call {
  World& world;
  Thread& thread;
  Lock& lock;
};

// Every runtime function is one call: lock, count, fault on request, body, last error. "Not ready"
// is not a failure and does not stay in the last error.
template <class Body>
int call(const char* function, Body body, bool needs_context = true) {
  World& world = World::instance();
  Lock lock(world.mutex);
  Thread& thread = world.this_thread();
  int error = world.begin_call(function);
  if (error == kSuccess) {
    if (needs_context) {
      thread.is_bound = true;
      world.start(thread.current());
    }
    Call context{world, thread, lock};
    error = body(context);
  }
  if (error != kSuccess && error != kNotReady) thread.last_error = error;
  return error;
}

}  // namespace simulated
