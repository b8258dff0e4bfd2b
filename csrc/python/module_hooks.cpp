// SPDX-License-Identifier: BSD-3-Clause
// The hooks before and after a module's forward.
#include "python/module_hooks.h"

#include <frameobject.h>

#include "python/autograd_access.h"
#include "python/module_hooks_type.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

// The first positional argument that was passed, or null.
PyObject* first_of(PyObject* arguments) noexcept {
  return PyTuple_Check(arguments) && PyTuple_GET_SIZE(arguments) > 0
             ? PyTuple_GET_ITEM(arguments, 0)
             : nullptr;
}

// The tensor that is passed on, for as long as it lives. Python soon reuses the address of a tensor
// that is gone, so an address alone does not tell one tensor from the next. Without a callback,
// Python keeps one weak reference per object. A new reference; null if its changes are not counted.
PyObject* passed_of(PyObject* object, int64_t& version) {
  if (object == nullptr || !version_of(object, version)) {
    return nullptr;
  }
  PyObject* reference = PyWeakref_NewRef(object, nullptr);
  if (reference == nullptr) {
    PyErr_Clear();
  }
  return reference;
}

// Whether nothing was put on a stream since the thread's last boundary, as far as can be seen: the
// same tensor is passed on, was not changed in place, and no node was made. Work without a gradient
// on other tensors is not seen; the scope that begins here then includes it.
bool is_same_moment(const ThreadState& thread, PyObject* passed, int64_t version,
                    int64_t sequence) noexcept {
  return passed != nullptr && thread.passed == passed && thread.version == version &&
         thread.sequence == sequence;
}

// Takes the reference.
void set_passed(ThreadState& thread, PyObject* passed, int64_t version, int64_t sequence) {
  Py_XSETREF(thread.passed, passed);
  thread.version = version;
  thread.sequence = sequence;
}

// How many frames are around a new scope on `lane`, in its chain.
uint8_t depth_of(const ThreadState& thread, size_t below, Lane* lane, bool is_recompute) noexcept {
  for (size_t i = below; i-- > 0;) {
    const Frame& around = thread.frames[i];
    if (around.open.lane == lane && around.is_recompute == is_recompute) {
      return static_cast<uint8_t>(around.open.nesting.depth + 1);
    }
  }
  for (size_t i = is_recompute ? thread.visit_count : 0; i-- > 0;) {
    if (thread.visits[i].open.lane == lane) {
      return static_cast<uint8_t>(thread.visits[i].open.nesting.depth + 1);
    }
  }
  return 0;
}

SiteTable::Id recompute_site(ModuleHooks* hooks, uint32_t module) {
  ModuleHooks::Module& own = hooks->modules[module];
  if (own.recompute == SiteTable::kRoot) {
    // Below the forward site, so that a timeline shows whose call is repeated.
    own.recompute = hooks->recorder->sites().child(own.forward, recompute_name(hooks));
  }
  return own.recompute;
}

void push_creation_hook(ModuleHooks* hooks, ThreadState* thread) {
  if (thread->has_creation_hook || autograd.push_creation_hook == nullptr) {
    return;
  }
  PyObject* hook = new_creation_hook(hooks);
  PyObject* done =
      hook == nullptr ? nullptr : PyObject_CallOneArg(autograd.push_creation_hook, hook);
  Py_XDECREF(hook);
  thread->has_creation_hook = done != nullptr;
  Py_XDECREF(done);
  PyErr_Clear();
}

const void* code_of(PyFrameObject* frame) {
  PyCodeObject* code = PyFrame_GetCode(frame);
  Py_DECREF(reinterpret_cast<PyObject*>(code));
  return code;
}

// Remembers the Python function that makes the outermost frame.
void set_caller(ThreadState& thread) {
  PyFrameObject* caller = PyEval_GetFrame();
  thread.caller = caller;
  thread.caller_code = caller == nullptr ? nullptr : code_of(caller);
}

// Whether that function still runs. It is the same function if it has the same address and the same
// code. A reference to it would keep the arguments of the model alive after an interrupt.
[[gnu::cold]] bool is_caller_running(const ThreadState& thread) {
  PyFrameObject* at = PyEval_GetFrame();
  if (thread.caller == nullptr || at == nullptr) {
    return true;
  }
  bool is_running = false;
  Py_INCREF(at);
  // The function that calls this hook is another one.
  while (at != nullptr && !is_running) {
    PyFrameObject* around = PyFrame_GetBack(at);
    Py_DECREF(at);
    at = around;
    is_running = at == thread.caller && code_of(at) == thread.caller_code;
  }
  Py_XDECREF(at);
  return is_running;
}

bool is_inside(const ModuleHooks* hooks, uint32_t module, uint32_t around) noexcept {
  do {
    module = hooks->modules[module].parent;
  } while (module != ModuleHooks::kNone && module != around);
  return module == around;
}

// Ctrl-C ends calls without the hooks after them, so frames of calls that are over can be left.
// Asks only if the module does not lie inside the last one, because asking takes microseconds.
void abandon_interrupted(ModuleHooks* hooks, ThreadState* thread, uint32_t module) {
  if (thread->frame_count == 0 ||
      is_inside(hooks, module, thread->frames[thread->frame_count - 1].module) ||
      is_caller_running(*thread)) {
    return;
  }
  abandon_frames(hooks, thread, 0);
  Py_CLEAR(thread->new_node);
  if (hooks->steps.thread == thread->thread) {
    drop_step(hooks);  // the program may have paused for long
  }
}

// The outermost call of a module on this thread begins.
void enter_model(ModuleHooks* hooks, ThreadState* thread, bool is_recompute) {
  bind_if_cuda_is_up();
  if (is_recompute) {
    return;
  }
  ++hooks->births;
  abandon_visits(hooks, thread, 0);  // of a backward pass that an exception ended
  if (!hooks->steps.is_open || hooks->steps.thread == thread->thread) {
    if (!hooks->steps.is_open) {
      hooks->steps.thread = thread->thread;
    }
    begin_part(hooks, StepParts::kForward);
  }
}

void leave_model(ModuleHooks* hooks, const ThreadState* thread, bool made_nodes) {
  StepParts& steps = hooks->steps;
  if (!steps.is_open || steps.thread != thread->thread) {
    return;
  }
  begin_part(hooks, made_nodes              ? StepParts::kLoss
                    : steps.is_in_optimizer ? StepParts::kOptimizer
                                            : StepParts::kOther);
  if (!made_nodes && steps.ends_by_itself) {
    end_step(hooks);
  }
}

void begin_call(ModuleHooks* hooks, ThreadState* thread, uint32_t module, PyObject* object,
                PyObject* arguments, bool is_recompute) {
  const size_t at = thread->frame_count;
  if (at == ThreadState::kMaxDepth) {
    ++hooks->refused;
    return;
  }
  const int64_t sequence = next_sequence_number();
  if (at != 0 && hooks->times_backward && sequence != thread->sequence) {
    mark_nodes(hooks, thread, arguments);
    Frame& around = thread->frames[at - 1];
    around.gaps[around.gap_count++ % around.gaps.size()] = {thread->sequence, sequence};
  }
  int64_t version = 0;
  PyObject* passed = passed_of(first_of(arguments), version);
  Frame& frame = thread->frames[at];
  frame.open = OpenScope{};
  frame.object = object;
  frame.instance = nullptr;
  frame.module = module;
  frame.is_recompute = is_recompute;
  frame.gap_count = 0;
  frame.open.site = is_recompute ? recompute_site(hooks, module) : hooks->modules[module].forward;
  OpenScope* open = &frame.open;
  hooks->recorder->meet(thread->meeting, is_same_moment(*thread, passed, version, sequence),
                        nullptr, 0, &open, 1);
  open->nesting = {hooks->steps.step, chain_of(hooks, thread, open->lane, is_recompute),
                   depth_of(*thread, at, open->lane, is_recompute),
                   is_recompute ? Stretch::kRecompute : Stretch::kForward};
  thread->frame_count = at + 1;
  set_passed(*thread, passed, version, sequence);
}

void end_call(ModuleHooks* hooks, ThreadState* thread, PyObject* result) {
  Frame& frame = thread->frames[thread->frame_count - 1];
  const int64_t sequence = next_sequence_number();
  int64_t version = 0;
  PyObject* passed = passed_of(result, version);
  OpenScope* open = &frame.open;
  hooks->recorder->meet(thread->meeting, is_same_moment(*thread, passed, version, sequence), &open,
                        1, nullptr, 0);
  if (thread->frame_count == 1 && !frame.is_recompute) {
    hooks->recorder->leave_call();  // so that the part may share the event
    leave_model(hooks, thread, sequence != thread->model_sequence);
  }
  if (hooks->times_backward &&
      (sequence != thread->sequence || thread->new_node != nullptr || frame.gap_count != 0)) {
    mark_nodes(hooks, thread, result);
  }
  --thread->frame_count;
  drop_instance(hooks, frame.instance);
  frame.instance = nullptr;
  set_passed(*thread, passed, version, sequence);
}

// The innermost open call of this module; kMaxDepth if there is none.
size_t frame_of(const ThreadState& thread, PyObject* object) noexcept {
  for (size_t i = thread.frame_count; i-- > 0;) {
    if (thread.frames[i].object == object) {
      return i;
    }
  }
  return ThreadState::kMaxDepth;
}

// A copy of a module has the hooks of its original.
[[gnu::cold]] PyObject* meet_unknown(ModuleHooks* hooks, PyObject* object) {
  PyObject* call = hooks->unknown_module;
  if (call == nullptr) {
    Py_RETURN_NONE;
  }
  Py_INCREF(call);  // it may close the handle
  PyObject* done = PyObject_CallOneArg(call, object);
  const bool is_over = done != nullptr || report_exception(call);
  Py_XDECREF(done);
  Py_DECREF(call);
  if (!is_over) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

}  // namespace

PyObject* before_forward(ModuleHooks* hooks, PyObject* object, PyObject* arguments) {
  const auto found = hooks->index.find(object);
  if (found == hooks->index.end()) {
    return meet_unknown(hooks, object);
  }
  const uint32_t module = found->second;  // close() clears the index, also while a record waits
  hooks->recorder->enter_call();
  ThreadState* thread = enter_thread(hooks);
  if (thread == nullptr) {
    Py_RETURN_NONE;
  }
  thread->is_busy = true;
  abandon_interrupted(hooks, thread, module);
  const bool is_recompute = backward_task() != -1;
  const bool is_outermost = thread->frame_count == 0;
  if (is_outermost) {
    Py_CLEAR(thread->passed);
    set_caller(*thread);
    enter_model(hooks, thread, is_recompute);
    thread->model_sequence = thread->sequence = next_sequence_number();
    thread->model = object;
    if (hooks->times_modules && hooks->times_backward) {
      push_creation_hook(hooks, thread);
    }
  }
  if (hooks->times_modules || thread->frame_count != 0) {
    begin_call(hooks, thread, module, object, arguments, is_recompute);
  }
  leave_thread(hooks, thread);
  hooks->recorder->leave_call();
  Py_RETURN_NONE;
}

PyObject* after_forward(ModuleHooks* hooks, PyObject* object, PyObject* result) {
  if (hooks->index.find(object) == hooks->index.end()) {
    Py_RETURN_NONE;
  }
  hooks->recorder->enter_call();
  ThreadState* thread = enter_thread(hooks);
  if (thread == nullptr) {
    Py_RETURN_NONE;
  }
  thread->is_busy = true;
  const size_t frame = frame_of(*thread, object);
  if (frame != ThreadState::kMaxDepth) {
    abandon_frames(hooks, thread, frame + 1);  // an interrupt ended them
    end_call(hooks, thread, result);
  } else if (thread->model == object && backward_task() == -1) {
    leave_model(hooks, thread, next_sequence_number() != thread->model_sequence);
  }
  if (thread->frame_count == 0 && thread->model == object) {
    thread->model = nullptr;
    pop_creation_hook(thread);
    if ((frame == ThreadState::kMaxDepth || !hooks->times_backward) && hooks->steps.is_on) {
      mark_backward_only(hooks, result, thread->model_sequence);
    }
    release_last_hook();
  }
  leave_thread(hooks, thread);
  hooks->recorder->leave_call();
  return finish_hook(hooks);
}

}  // namespace fasttime
