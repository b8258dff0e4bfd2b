// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/recorder.h"

namespace fasttime {

// The hooks of one handle of instrument(): what runs before and after each timed module's forward,
// and before some nodes of the backward pass.
//
//   forward   The hook before a module begins a scope, and the hook after ends it. Open calls are
//             frames, one stack per thread.
//   backward  The hook after a module marks the node that made the module's output: a pre-hook of
//             the node. The backward pass runs nodes in the opposite order of their making, so all
//             nodes of a call run without a gap, and the marked node first. From there to the next
//             marked node is a visit to the module. Open visits are a stack per thread, too.
//
// Hooks never raise, except for a KeyboardInterrupt and the like that came up in a callback. They
// allocate only for a thread or a call depth that is new. Everything here needs the GIL. A record
// may release it, so a thread that is inside a hook is marked busy.

// One call of a module, for as long as a frame, a visit, a call inside, or a node refers to it.
struct ThreadState;
struct Instance {
  uint32_t references;
  uint32_t module;
  Instance* parent;  // the call around it; owned. Of a free instance: the next free one.
  const ThreadState* thread;
  uint64_t birth;  // ModuleHooks::births
  uint16_t depth;  // how many calls are around it
};

// An open forward call.
struct Frame {
  OpenScope open;
  PyObject* object;    // the module; only compared
  Instance* instance;  // owned; null until a node needs it
  uint32_t module;
  bool is_recompute;
  uint16_t gap_count;
  // The numbers of nodes that were made before a call inside: from, and up to. A custom function
  // that calls modules has its node's number before the numbers of their nodes. The last few.
  std::array<std::pair<int64_t, int64_t>, 4> gaps;
};

// An open visit of the backward pass to a module.
struct Visit {
  OpenScope open;
  Instance* instance;  // owned
  uint64_t birth;      // ModuleHooks::births when it began
  int64_t task;        // the backward pass
};

// Bounded: kMaxDepth frames and visits per thread. Calls inside are not timed.
struct ThreadState {
  static constexpr size_t kMaxDepth = 90;

  uint64_t thread = 0;   // this_thread(); 0: unused
  uint32_t process = 0;  // Recorder::process()
  uint64_t used = 0;     // when it was last looked up; a counter
  size_t frame_count = 0;
  size_t visit_count = 0;
  bool is_busy = false;
  bool has_creation_hook = false;

  // The last boundary of a frame: its event, the tensor that was passed on, and how often that
  // tensor had been changed, and the number of the next node.
  Meeting meeting;
  PyObject* passed = nullptr;  // a weak reference; owned
  int64_t version = 0;
  int64_t sequence = 0;
  // The outermost call on this thread, also if its modules are not timed in this step.
  PyObject* model = nullptr;  // only compared
  int64_t model_sequence = 0;
  // The Python function that made the outermost frame, and its code; only compared.
  const void* caller = nullptr;
  const void* caller_code = nullptr;
  PyObject* new_node = nullptr;  // the last node since then; owned

  struct Chain {
    Lane* lane;
    bool is_backward;
    uint16_t number;
  };
  std::vector<Chain> chains;
  std::array<Frame, kMaxDepth> frames;
  std::array<Visit, kMaxDepth> visits;
  std::array<OpenScope, kMaxDepth> ending;  // visits that end at one boundary
};

// The parts of the step, end to end, on one stream.
struct StepParts {
  static constexpr size_t kCount = 8;
  enum Part : uint8_t { kData, kForward, kLoss, kBackward, kGradients, kOptimizer, kOther };

  OpenScope open;
  std::array<SiteTable::Id, kCount> sites{};
  bool is_on = false;    // whether parts are timed at all
  bool is_open = false;  // whether a step has begun
  bool is_busy = false;
  bool is_in_optimizer = false;
  bool ends_by_hand = false;
  bool ends_by_itself = false;  // after a backward pass, or a forward call without one
  bool has_news = false;        // a step has ended, and `step_ended` was not called yet
  uint8_t part = kOther;
  uint32_t step = 1;
  uint16_t parts = 0;  // ended parts of this step, modulo 2^16
  uint64_t ended = 0;  // steps
  uint32_t last_ended = 0;
  uint64_t thread = 0;  // this_thread() of the thread that began the step
  bool had_backward = false;
};

struct ModuleHooks {
  PyObject_HEAD;
  PyObject* weak_references;
  PyObject* owner;  // the Python object of the recorder; owned
  Recorder* recorder;

  struct Module {
    SiteTable::Id name;
    SiteTable::Id forward;
    SiteTable::Id backward;
    SiteTable::Id recompute;  // kRoot until it is needed
    uint32_t parent;          // kNone for the model itself
    bool is_opaque;           // compiled: its inside makes nodes for a tracer
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  std::vector<Module> modules;
  std::unordered_map<PyObject*, uint32_t> index;  // the keys are only compared
  std::vector<std::unique_ptr<ThreadState>> threads;
  Instance* free_instances;
  std::vector<int64_t> tasks;  // backward passes with an end callback, the last few
  uint64_t births;             // outermost forward calls so far
  uint64_t uses;
  uint64_t refused;  // calls that were not timed, because there was no room
  StepParts steps;
  bool times_modules;  // in this step
  bool times_backward;
  bool is_closed;
  PyObject* unknown_module;  // called with a module that has the hooks of another; owned
  PyObject* step_ended;      // called with each step's number at its end; owned, may be null
};

// Makes the types; called once at import. False with an exception set.
bool init_module_hooks();
bool init_backward_marks();

// The type; borrowed.
PyObject* module_hooks_type() noexcept;

// New hooks without modules, for a recorder of their own. `owner` keeps `recorder` alive. Null with
// an exception set.
PyObject* new_module_hooks(PyObject* owner, Recorder& recorder);

// --- threads and calls ---

// The number of the calling thread, which it keeps in the child of a fork.
uint64_t this_thread() noexcept;
// The calling thread's state; null if there are too many threads, or the thread is in a hook.
ThreadState* enter_thread(ModuleHooks* hooks);
// The same if it exists, whether it is in a hook or not.
ThreadState* find_thread(const ModuleHooks* hooks) noexcept;
// The thread is no longer busy. If the handle was closed meanwhile, gives up what is open there.
void leave_thread(ModuleHooks* hooks, ThreadState* thread);
// Gives up what a thread has open, because the handle is closed.
void close_thread(ModuleHooks* hooks, ThreadState* thread);
// Removes torch's creation hook, if this is the calling thread's.
void pop_creation_hook(ThreadState* thread);
uint16_t chain_of(ModuleHooks* hooks, ThreadState* thread, Lane* lane, bool is_backward);
// A new reference to the call of the frame, or null without memory.
Instance* instance_of(ModuleHooks* hooks, ThreadState* thread, size_t frame);
void drop_instance(ModuleHooks* hooks, Instance* instance) noexcept;
// Gives up frames from the innermost on, until `count` are left; visits likewise.
void abandon_frames(ModuleHooks* hooks, ThreadState* thread, size_t count);
void abandon_visits(ModuleHooks* hooks, ThreadState* thread, size_t count);

// --- backward ---

// Lets the backward pass tell when it reaches a node that the innermost frame made. Takes the node
// that the creation hook saw, or otherwise the nodes of `tensors` that were made since the last
// boundary.
void mark_nodes(ModuleHooks* hooks, ThreadState* thread, PyObject* tensors);
// The creation hook saw a node.
void keep_node(ModuleHooks* hooks, PyObject* node);
// The same without a frame, to learn of the backward pass alone.
void mark_backward_only(ModuleHooks* hooks, PyObject* tensors, int64_t since);
// Calls end_task() and finish_backward() at the end of the backward pass that runs on this thread.
// False if torch refuses.
bool queue_end(ModuleHooks* hooks, int64_t task, bool is_inside_another);
bool queue_done(ModuleHooks* hooks);
// A backward pass has run its last node. `is_inside_another`: a node of another pass called it.
void end_task(ModuleHooks* hooks, int64_t task, bool is_inside_another);
// Others have ended their work at the end of a backward pass, such as waiting for gradients.
void finish_backward(ModuleHooks* hooks);
// The backward pass `task` reached a node of the call, which may be null.
void backward_reached(ModuleHooks* hooks, Instance* instance);

// --- steps ---

// Ends the part of the step, and begins another.
void begin_part(ModuleHooks* hooks, uint8_t part);
// The part to go back to after a backward pass.
uint8_t part_around(const ModuleHooks* hooks);
// Ends the step. Call call_step_ended() soon after, outside of enter_thread() and leave_thread().
void end_step(ModuleHooks* hooks);
// Calls `step_ended` if a step has ended since the last call. False with the callback's exception
// set.
bool call_step_ended(ModuleHooks* hooks);
// The same, and what a hook returns then: None, or null with an exception that is meant for the
// program, such as KeyboardInterrupt. Reports any other exception as unraisable.
PyObject* finish_hook(ModuleHooks* hooks);
// Reports the exception that is set as unraisable. False if it is meant for the program, and then
// it stays set.
bool report_exception(PyObject* source);
// The open step never ends. The next part begins another.
void drop_step(ModuleHooks* hooks);

}  // namespace fasttime
