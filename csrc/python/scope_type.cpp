// SPDX-License-Identifier: BSD-3-Clause
#include "python/scope_type.h"

#include <structmember.h>

#include <array>
#include <cstddef>
#include <new>

#include "python/context_methods.h"
#include "python/context_stack.h"
#include "python/enterings.h"
#include "python/scope_hooks.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

PyTypeObject* g_scope_type = nullptr;

struct Scope {
  PyObject_HEAD vectorcallfunc call;
  ScopeSource* source;  // owned
  NameCache::Known* known;
  PyObject* stream_owner;  // keeps a stream object alive; null if none was given
  Enterings enterings;
  PyObject* name;  // owned where it is not `known`
  SiteTable::Id name_id;
  Place place;
};

constexpr int kMaxSpare = 64;
std::array<Scope*, kMaxSpare> g_spare;
int g_spare_count = 0;

// Begins a pass; frees `entering` where it cannot.
[[gnu::always_inline]] inline bool enter_as(Scope* self, Entering* entering) {
  if (entering == nullptr) {
    return false;
  }
  ScopeSource* source = self->source;
  if (!runtime().has_cuda) {
    bind_if_cuda_is_up();
  }
  Recorder& recorder = *source->recorder;
  int64_t entered_ns = recorder.enter_call();
  ContextStack* stack = stack_at_hand(recorder.process());
  if (stack == nullptr) {
    stack = current_stack(recorder.process());
    if (stack == nullptr) {
      free_entering(self->enterings, entering);
      return false;
    }
    // Anything may have run meanwhile, such as the finaliser of what was garbage.
    entered_ns = recorder.enter_call();
  }
  const SiteTable::Id site =
      site_of(recorder.sites(), self->known, innermost(stack, source->number), self->name_id);
  if (!push(stack, entering, source->number, site)) {
    Py_DECREF(stack);
    free_entering(self->enterings, entering);
    return false;
  }
  entering->stack = stack;
  recorder.begin(entering->open, site, self->stream_owner == nullptr ? nullptr : &self->place,
                 entered_ns);
  // Only now: begin may let the GIL go, and nobody is to end what has not quite begun.
  add_entering(self->enterings, entering);
  return true;
}

// What a mark costs lies outside of the scope's times.
[[gnu::noinline]] bool enter_marking(Scope* self) {
  Entering* entering = new_separate_entering();
  if (entering != nullptr) {
    set_mark(entering, begin_mark(self->source->marks, self->name));
    if (PyErr_Occurred() != nullptr) {
      free_entering(self->enterings, entering);
      return false;
    }
  }
  return enter_as(self, entering);
}

[[gnu::hot]] bool enter(Scope* self) {
  const ScopeMode mode = self->source->mode;
  if (mode != ScopeMode::kOn) {
    if (mode == ScopeMode::kOnAndMarking) {
      return enter_marking(self);
    }
    return enter_off(self->enterings, *self->source->recorder);
  }
  return enter_as(self, new_entering(self->enterings));
}

// An exit that belongs to an entering which only was counted, or to none. False with an exception
// set in the latter case.
[[gnu::cold]] bool leave_otherwise(Scope* self) {
  if (leave_counted(self->enterings)) {
    return true;
  }
  PyErr_Format(PyExc_RuntimeError,
               "scope %R is not open: it was ended already or never begun; each begin() or "
               "`with` takes one end",
               self->name);
  return false;
}

enum class Ending : bool { kBlock, kToken };

// False with an exception set where the scope is not open.
[[gnu::hot]] bool leave(Scope* self, Ending ending) {
  Recorder& recorder = *self->source->recorder;
  Entering* entering = take_entering(self->enterings, recorder);
  if (entering == nullptr) {
    return leave_otherwise(self);
  }
  recorder.end(entering->open);
  (ending == Ending::kBlock ? remove_block : remove)(entering->stack, entering);
  Py_DECREF(entering->stack);
  const bool is_whole = free_entering(self->enterings, entering);
  recorder.leave_call();
  return is_whole;
}

// What was begun and will never be ended.
[[gnu::cold]] void abandon_all(Scope* self) {
  Enterings& all = self->enterings;
  while (Entering* entering = all.last) {
    all.last = entering->previous;
    self->source->recorder->abandon(entering->open);
    remove(entering->stack, entering);
    Py_DECREF(entering->stack);
    if (!free_entering(all, entering)) {
      PyErr_WriteUnraisable(self->name);  // nobody is there to raise it to
    }
  }
}

[[gnu::hot]] void scope_dealloc(PyObject* object) {
  auto* self = reinterpret_cast<Scope*>(object);
  if (self->enterings.last != nullptr) {
    abandon_all(self);
  }
  if (self->known == nullptr) {
    Py_DECREF(self->name);
  }
  Py_DECREF(self->source);
  Py_CLEAR(self->stream_owner);
  if (g_spare_count < kMaxSpare) {
    g_spare[static_cast<size_t>(g_spare_count++)] = self;
    return;
  }
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

// A scope called with nothing is entered, with an exception's three parts left, with a function
// wrapped around it.
[[gnu::hot]] PyObject* scope_call(PyObject* object, PyObject* const* arguments,
                                  size_t flagged_count, PyObject* keywords) {
  auto* self = reinterpret_cast<Scope*>(object);
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  if (keywords == nullptr || PyTuple_GET_SIZE(keywords) == 0) {
    switch (count) {
      case 0:
        if (!enter(self)) {
          return nullptr;
        }
        Py_INCREF(object);
        return object;
      case 1:
        if (self->enterings.last != nullptr) {
          PyErr_Format(PyExc_TypeError,
                       "scope %R is open, and no decorator; write @scope(%R), with no () after it",
                       self->name, self->name);
          return nullptr;
        }
        return decorate(self->source, self->name, self->stream_owner, arguments[0]);
      case 3:
        if (!leave(self, Ending::kBlock)) {
          return nullptr;
        }
        Py_RETURN_FALSE;
      default:
        break;
    }
  }
  PyErr_SetString(
      PyExc_TypeError,
      "a scope is used as `with scope(...)` or as a decorator, and takes no other call");
  return nullptr;
}

PyObject* scope_repr(PyObject* object) {
  return PyUnicode_FromFormat("<fasttime scope %R>", reinterpret_cast<Scope*>(object)->name);
}

[[gnu::hot]] Scope* allocate() {
  if (g_spare_count > 0) {
    Scope* self = g_spare[static_cast<size_t>(--g_spare_count)];
    Py_SET_REFCNT(reinterpret_cast<PyObject*>(self), 1);
    return self;
  }
  auto* self = PyObject_New(Scope, g_scope_type);
  if (self != nullptr) {
    self->call = &scope_call;
    new (&self->enterings) Enterings();
  }
  return self;
}

// A model that keeps a scope can be copied: both time the same site then.
PyObject* scope_copy(PyObject* object, PyObject*) {
  Py_INCREF(object);
  return object;
}

PyObject* scope_reduce(PyObject* object, PyObject*) {
  auto* self = reinterpret_cast<Scope*>(object);
  return reduce(self->source, "scope", self->name, self->stream_owner);
}

PyMethodDef g_scope_methods[] = {{"__copy__", &scope_copy, METH_NOARGS, nullptr},
                                 {"__deepcopy__", &scope_copy, METH_O, nullptr},
                                 {"__reduce__", &scope_reduce, METH_NOARGS, nullptr},
                                 {nullptr, nullptr, 0, nullptr}};
PyMemberDef g_scope_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Scope, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot g_scope_slots[] = {{Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                               {Py_tp_members, g_scope_members},
                               {Py_tp_methods, g_scope_methods},
                               {Py_tp_repr, reinterpret_cast<void*>(&scope_repr)},
                               {Py_tp_dealloc, reinterpret_cast<void*>(&scope_dealloc)},
                               {0, nullptr}};
PyType_Spec g_scope_spec = {
    "fasttime._C.Scope", sizeof(Scope), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    g_scope_slots};

}  // namespace

bool init_scope_type() {
  g_scope_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_scope_spec));
  return g_scope_type != nullptr && add_context_methods(g_scope_type) && init_context_stack();
}

[[gnu::hot]] PyObject* new_scope(ScopeSource* source, const ScopeName& name, PyObject* stream,
                                 const Place& place) {
  Scope* self = allocate();
  if (self == nullptr) {
    return nullptr;
  }
  Py_INCREF(source);
  self->source = source;
  self->known = name.known;
  self->name = name.name;
  self->name_id = name.id;
  if (name.known == nullptr) {
    Py_INCREF(name.name);
  }
  self->stream_owner = stream;
  if (stream != nullptr) {
    Py_INCREF(stream);
    self->place = place;
  }
  self->enterings.entered_while_off = 0;
  return reinterpret_cast<PyObject*>(self);
}

PyObject* scope_like(PyObject* scope) {
  auto* self = reinterpret_cast<Scope*>(scope);
  return new_scope(self->source, {self->name, self->name_id, self->known}, self->stream_owner,
                   self->place);
}

PyObject* stream_of(PyObject* scope) noexcept {
  return reinterpret_cast<Scope*>(scope)->stream_owner;
}

const Place* place_of(PyObject* scope) noexcept {
  auto* self = reinterpret_cast<Scope*>(scope);
  return self->stream_owner == nullptr ? nullptr : &self->place;
}

PyObject* scope_type() noexcept { return reinterpret_cast<PyObject*>(g_scope_type); }

bool is_scope(PyObject* object) noexcept { return Py_TYPE(object) == g_scope_type; }

bool enter_scope(PyObject* scope) { return enter(reinterpret_cast<Scope*>(scope)); }

const OpenScope* open_scope_of(PyObject* scope) noexcept {
  const Entering* entering = reinterpret_cast<Scope*>(scope)->enterings.last;
  return entering == nullptr ? nullptr : &entering->open;
}

bool is_entered_while_off(PyObject* scope) noexcept {
  return reinterpret_cast<Scope*>(scope)->enterings.entered_while_off > 0;
}

void suspend_scope(PyObject* scope) {
  if (const Entering* entering = reinterpret_cast<Scope*>(scope)->enterings.last) {
    remove_block(entering->stack, entering);
  }
}

bool resume_scope(PyObject* scope) {
  auto* self = reinterpret_cast<Scope*>(scope);
  Entering* entering = self->enterings.last;
  const uint32_t process = self->source->recorder->process();
  if (entering == nullptr || entering->open.process != process) {
    return true;  // after a fork it is the parent's, and nobody's parent here
  }
  ContextStack* stack = current_stack(process);
  if (stack == nullptr || !push(stack, entering, self->source->number, entering->open.site)) {
    Py_XDECREF(stack);
    return false;
  }
  Py_DECREF(entering->stack);
  entering->stack = stack;
  return true;
}

bool leave_scope(PyObject* scope) { return leave(reinterpret_cast<Scope*>(scope), Ending::kBlock); }

bool end_scope(PyObject* scope) { return leave(reinterpret_cast<Scope*>(scope), Ending::kToken); }

}  // namespace fasttime
