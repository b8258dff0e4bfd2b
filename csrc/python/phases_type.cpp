// SPDX-License-Identifier: BSD-3-Clause
#include "python/phases_type.h"

#include "python/context_object.h"
#include "python/scope_hooks.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

PyTypeObject* g_phases_type = nullptr;

// Calls may release the GIL, and run marks, which are Python code. Other threads see kBusy then.
enum class State : uint8_t {
  kClosed,         // not entered, or entered while scopes were off
  kOpen,           // in the block, but in no phase
  kInPhase,        // in a phase without a mark
  kInMarkedPhase,  // in a phase with a mark
  kBusy,           // a thread is in a call
  kLeft,           // another thread left the block during the call, which then ends the phase
};

bool is_in_phase(State state) noexcept {
  return state == State::kInPhase || state == State::kInMarkedPhase;
}

struct Phases {
  ContextObject base;   // first: a Phases is a ContextObject
  ScopeSource* source;  // owned
  PyObject* scope;      // the block: a scope object that only this object uses; owned
  PyObject* name;       // owned
  Pass* block;          // the open pass of the scope; null when closed
  StackMember entry;    // the phase on the block's context stack
  OpenScope phase;
  Place place;  // of all phases, once it is known
  bool has_place;
  State state;
  PyObject* mark;  // of the phase, owned; null: none
};

// The name of a phase, or None.
struct PhaseName {
  PyObject* name;
  NameCache::Known* known;  // null if the table does not have it
  SiteTable::Id id;
};

// Takes the reference to the scope. A new reference, or null with an exception set.
PyObject* phases_around(ScopeSource* source, PyObject* scope, PyObject* name);

// All phases lie on the block's stream. A block that began in a capture has no lane; its phases lie
// on the stream that the block would have used.
void keep_place(Phases* self) noexcept {
  const OpenScope& block = self->block->open;
  const CudaRuntime& cuda = runtime();
  self->has_place = true;
  if (block.lane != nullptr) {
    self->place = block.lane->place;
  } else if (cuda.has_cuda && current_place(cuda, self->place)) {
    if (const Place* chosen = place_of(self->scope)) {
      self->place = {chosen->device < 0 ? self->place.device : chosen->device, chosen->stream};
    }
  } else {
    self->has_place = false;
  }
}

// Before CUDA starts, the place is unknown. The first phase on a stream decides it.
void learn_place(Phases* self) noexcept {
  if (!self->has_place && self->phase.lane != nullptr) {
    self->place = self->phase.lane->place;
    self->has_place = true;
  }
}

const Place* place_or_current(Phases* self) noexcept {
  return self->has_place ? &self->place : place_of(self->scope);
}

bool enter(Phases* self) {
  if (self->state != State::kClosed || is_entered_while_off(self->scope)) {
    PyErr_Format(PyExc_RuntimeError,
                 "phases %R are open already; call phase(name) to begin a phase, and write another "
                 "`with phases(%R)` for another block",
                 self->name, self->name);
    return false;
  }
  self->state = State::kBusy;
  const bool entered = enter_scope(self->scope);
  self->state = State::kClosed;
  if (Pass* block = entered ? open_pass_of(self->scope) : nullptr) {
    self->block = block;
    self->state = State::kOpen;
    keep_place(self);
  }
  return entered;
}

// Ends the phase alone: the block stays open, or another thread has left it.
void end_phase(Phases* self) {
  Recorder& recorder = *self->source->recorder;
  recorder.end(self->phase);
  recorder.leave_call();
}

bool end_phase_mark(Phases* self) {
  PyObject* mark = self->mark;
  self->mark = nullptr;
  return mark == nullptr || end_mark(mark);
}

// Ends a call, whose result is a phase or none. False with an exception set if ending a mark was
// interrupted.
[[gnu::cold]] bool end_call_after_leaving(Phases* self, State result) {
  if (is_in_phase(result)) {
    end_phase(self);
  }
  self->state = State::kClosed;
  return end_phase_mark(self);
}

bool end_call(Phases* self, State result) {
  if (self->state == State::kLeft) {
    return end_call_after_leaving(self, result);
  }
  self->state = result;
  return true;
}

[[gnu::cold]] PyObject* refuse_phase(Phases* self) {
  if (is_entered_while_off(self->scope)) {
    Py_RETURN_NONE;
  }
  if (self->state == State::kBusy) {
    PyErr_Format(PyExc_RuntimeError,
                 "phases %R are in use by another call; phases lie end to end, so give each thread "
                 "its own `with phases(...)`",
                 self->name);
  } else {
    PyErr_Format(PyExc_RuntimeError,
                 "phases %R are not open; call phase(name) inside `with phases(%R) as phase:`",
                 self->name, self->name);
  }
  return nullptr;
}

// Makes the next phase a parent, and answers its site.
[[gnu::always_inline]] inline SiteTable::Id place_on_stack(Phases* self, const PhaseName& next) {
  ScopeSource* source = self->source;
  Pass* block = self->block;
  const SiteTable::Id site =
      site_of(source->recorder->sites(), next.known, block->open.site, next.id);
  set_phase(block->stack, block, &self->entry, source->number, site);
  return site;
}

// A phase that began in a capture, on a failure, or before CUDA started must not affect the phases
// after it.
[[gnu::cold]] void retry(Phases* self) {
  bind_if_cuda_is_up();
  self->source->recorder->retry_phase(self->phase, place_or_current(self));
  learn_place(self);
}

void begin_first(Phases* self, SiteTable::Id site) {
  if (!runtime().has_cuda) {
    bind_if_cuda_is_up();
  }
  Recorder& recorder = *self->source->recorder;
  recorder.begin_phase(self->phase, site, self->block->open, place_or_current(self));
  learn_place(self);
}

void change(Phases* self, SiteTable::Id site) {
  self->source->recorder->change_phase(self->phase, site);
  if (self->phase.lane == nullptr) {
    retry(self);
  }
}

// Ends the mark of the previous phase, and begins the mark of the next. Their cost counts towards
// the previous phase. False with an exception set.
bool change_mark(Phases* self, PyObject* name) {
  if (!end_phase_mark(self)) {
    return false;
  }
  if (name != Py_None && self->source->mode == ScopeMode::kOnAndMarking) {
    self->mark =
        begin_mark(self->source->marks, name, self->block->open.site, place_or_current(self));
    return self->mark != nullptr || PyErr_Occurred() == nullptr;
  }
  return true;
}

PyObject* begin_or_end_phase(Phases* self, const PhaseName& next) {
  if (self->state != State::kOpen && !is_in_phase(self->state)) {
    return refuse_phase(self);
  }
  State result = self->state;
  self->state = State::kBusy;
  bool is_whole = change_mark(self, next.name);
  if (is_whole && self->state != State::kLeft) {
    const bool was_in_phase = is_in_phase(result);
    if (next.name == Py_None) {
      result = State::kOpen;
      remove_phase(self->block->stack, &self->entry);
      if (was_in_phase) {
        end_phase(self);
      }
    } else {
      const SiteTable::Id site = place_on_stack(self, next);
      was_in_phase ? change(self, site) : begin_first(self, site);
      result = self->mark == nullptr ? State::kInPhase : State::kInMarkedPhase;
    }
  }
  if (!end_call(self, result) || !is_whole) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

// False with an exception set if the argument is not a name.
[[gnu::noinline]] bool read_name(Phases* self, PyObject* argument, SiteTable::Id& id) {
  PyObject* name = checked_name(self->source->names, self->source->recorder->sites(), argument, id);
  Py_XDECREF(name);
  return name != nullptr;
}

// A call that call_phase() does not serve itself.
[[gnu::noinline]] PyObject* call_phase_otherwise(Phases* self, PyObject* argument,
                                                 NameCache::Known* known) {
  PhaseName next{argument, known, known == nullptr ? 0 : known->id};
  if (known == nullptr && argument != Py_None && !read_name(self, argument, next.id)) {
    return nullptr;
  }
  return begin_or_end_phase(self, next);
}

[[gnu::hot]] PyObject* call_phase(Phases* self, PyObject* argument) {
  ScopeSource* source = self->source;
  NameCache::Known* known = source->names.find(argument);
  if (known == nullptr || self->state != State::kInPhase ||
      source->mode == ScopeMode::kOnAndMarking) {
    return call_phase_otherwise(self, argument, known);
  }
  const SiteTable::Id site = place_on_stack(self, {argument, known, known->id});
  self->state = State::kBusy;
  change(self, site);
  if (!end_call(self, State::kInPhase)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

bool leave(PyObject* object) {
  auto* self = reinterpret_cast<Phases*>(object);
  if (self->block == nullptr) {
    return leave_scope(self->scope);  // entered while scopes were off, or not at all
  }
  remove_phase(self->block->stack, &self->entry);
  self->block = nullptr;
  if (!is_in_phase(self->state)) {
    self->state = self->state == State::kBusy ? State::kLeft : State::kClosed;
    return leave_scope(self->scope);
  }
  self->state = State::kBusy;  // the phase is in use until both have ended
  PyObject* mark = self->mark;
  self->mark = nullptr;
  const bool is_whole = leave_scope_and_phase(self->scope, self->phase, mark);
  self->state = State::kClosed;
  return is_whole;
}

// A call with any number of arguments but one.
[[gnu::noinline]] PyObject* enter_or_refuse(Phases* self, Py_ssize_t count, PyObject* keywords) {
  if (count > 0 || has_keywords(keywords)) {
    PyErr_Format(PyExc_TypeError,
                 "phases %R got a call with %zd arguments; call phase(name) to begin a phase, or "
                 "phase(None) to end it",
                 self->name, count);
    return nullptr;
  }
  if (!enter(self)) {
    return nullptr;
  }
  auto* object = reinterpret_cast<PyObject*>(self);
  Py_INCREF(object);
  return object;
}

// No argument: __enter__. One argument: the name of a phase, or None.
[[gnu::hot]] PyObject* phases_call(PyObject* object, PyObject* const* arguments,
                                   size_t flagged_count, PyObject* keywords) {
  auto* self = reinterpret_cast<Phases*>(object);
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  if (count == 1 && !has_keywords(keywords)) {
    return call_phase(self, arguments[0]);
  }
  return enter_or_refuse(self, count, keywords);
}

// Phases that are still open will never end.
void phases_dealloc(PyObject* object) {
  auto* self = reinterpret_cast<Phases*>(object);
  PyTypeObject* type = Py_TYPE(object);
  if (self->block != nullptr) {
    remove_phase(self->block->stack, &self->entry);
  }
  if (is_in_phase(self->state)) {
    self->source->recorder->abandon(self->phase);
  }
  if (!end_phase_mark(self)) {
    PyErr_WriteUnraisable(self->name);  // a deallocation cannot raise
  }
  Py_DECREF(self->scope);
  Py_DECREF(self->name);
  Py_DECREF(self->source);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* phases_repr(PyObject* object) {
  return PyUnicode_FromFormat("<fasttime phases %R>", reinterpret_cast<Phases*>(object)->name);
}

// A copy is closed: open phases belong to the block that opened them.
PyObject* phases_copy(PyObject* object, PyObject*) {
  auto* self = reinterpret_cast<Phases*>(object);
  PyObject* scope = scope_like(self->scope);
  return scope == nullptr ? nullptr : phases_around(self->source, scope, self->name);
}

PyObject* phases_reduce(PyObject* object, PyObject*) {
  auto* self = reinterpret_cast<Phases*>(object);
  return reduce(self->source, "phases", self->name, stream_of(self->scope));
}

PyMethodDef g_methods[] = {{"__copy__", &phases_copy, METH_NOARGS, nullptr},
                           {"__deepcopy__", &phases_copy, METH_O, nullptr},
                           {"__reduce__", &phases_reduce, METH_NOARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

PyObject* phases_around(ScopeSource* source, PyObject* scope, PyObject* name) {
  auto* self = PyObject_New(Phases, g_phases_type);
  if (self == nullptr) {
    Py_DECREF(scope);
    return nullptr;
  }
  init_context_object(&self->base, &phases_call, &call_exit<&leave>);
  Py_INCREF(source);
  Py_INCREF(name);
  self->source = source;
  self->scope = scope;
  self->name = name;
  self->block = nullptr;
  self->entry = {nullptr, nullptr};
  self->has_place = false;
  self->state = State::kClosed;
  self->mark = nullptr;
  return reinterpret_cast<PyObject*>(self);
}

}  // namespace

bool init_phases_type() {
  g_phases_type = make_context_type("fasttime._C.Phases", sizeof(Phases), g_methods, &phases_repr,
                                    &phases_dealloc);
  return g_phases_type != nullptr;
}

PyObject* phases_type() noexcept { return reinterpret_cast<PyObject*>(g_phases_type); }

PyObject* new_phases(ScopeSource* source, const ScopeName& name, PyObject* stream,
                     const Place& place) {
  PyObject* scope = new_scope(source, name, stream, place);
  return scope == nullptr ? nullptr : phases_around(source, scope, name.name);
}

}  // namespace fasttime
