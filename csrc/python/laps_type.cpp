// SPDX-License-Identifier: BSD-3-Clause
#include "python/laps_type.h"

#include <structmember.h>

#include <cstddef>

#include "python/context_methods.h"
#include "python/scope_hooks.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

PyTypeObject* g_laps_type = nullptr;

// Entering and each lap may let the GIL go, and nobody else is to touch the section meanwhile.
enum class State : uint8_t {
  kClosed,
  kOpen,
  kBusy,  // a thread enters, or is in a lap
  kLeft,  // they were left while another thread was in a lap, which gives the section up
};

struct Laps {
  PyObject_HEAD vectorcallfunc call;
  ScopeSource* source;  // owned
  PyObject* scope;      // the step itself: a scope object; owned
  PyObject* name;       // owned
  OpenScope section;
  State state;
};

// Takes the reference to the scope; a new reference, or null with an exception set.
PyObject* laps_around(ScopeSource* source, PyObject* scope, PyObject* name);

// Leaves the section that nobody has named without a sample.
void close_section(Laps* self) {
  if (self->state == State::kOpen) {
    self->state = State::kClosed;
    self->source->recorder->drop_section(self->section);
  } else if (self->state == State::kBusy) {
    self->state = State::kLeft;
  }
}

bool enter(Laps* self) {
  if (self->state != State::kClosed) {
    PyErr_Format(PyExc_RuntimeError,
                 "laps %R are open already; a section ends with lap(\"its name\"), and each `with` "
                 "takes new laps",
                 self->name);
    return false;
  }
  self->state = State::kBusy;
  const bool entered = enter_scope(self->scope);
  self->state = State::kClosed;
  const OpenScope* step = entered ? open_scope_of(self->scope) : nullptr;
  if (step != nullptr) {
    self->source->recorder->begin_section(self->section, *step);
    self->state = State::kOpen;
  }
  return entered;
}

// False with an exception set where the argument is no name.
bool read_name(Laps* self, PyObject* argument, SiteTable::Id& id) {
  PyObject* name = checked_name(self->source->names, self->source->recorder->sites(), argument, id);
  Py_XDECREF(name);
  return name != nullptr;
}

// The section just begun has no lane. One that was begun in a capture or failed to record must not
// spoil all that come after, nor one from before CUDA was up.
[[gnu::cold]] void retry_section(Laps* self) {
  const OpenScope* step = open_scope_of(self->scope);
  if (step == nullptr) {
    return;
  }
  bind_if_cuda_is_up();
  const Place* place = step->lane == nullptr ? place_of(self->scope) : &step->lane->place;
  self->source->recorder->retry_section(self->section, place);
}

[[gnu::hot]] PyObject* lap(Laps* self, PyObject* argument) {
  NameCache::Known* known = self->source->names.find(argument);
  SiteTable::Id name_id = known == nullptr ? 0 : known->id;
  if (known == nullptr && !read_name(self, argument, name_id)) {
    return nullptr;
  }
  Recorder* recorder = self->source->recorder;
  const OpenScope* step = open_scope_of(self->scope);
  if (self->state != State::kOpen || step == nullptr) {
    if (is_entered_while_off(self->scope)) {
      Py_RETURN_NONE;
    }
    if (self->state == State::kBusy) {
      PyErr_Format(PyExc_RuntimeError,
                   "laps %R are in use by another thread; their sections lie end to end, so give "
                   "each thread laps of its own",
                   self->name);
      return nullptr;
    }
    PyErr_Format(PyExc_RuntimeError, "laps %R are not open; call them inside their `with`",
                 self->name);
    return nullptr;
  }
  self->state = State::kBusy;
  const SiteTable::Id above = SiteTable::sections_of(step->site);
  recorder->lap(self->section, site_of(recorder->sites(), known, above, name_id));
  if (self->section.lane == nullptr && self->state == State::kBusy) {
    retry_section(self);
  }
  const bool was_left = self->state == State::kLeft;
  self->state = State::kOpen;
  if (was_left) {
    close_section(self);
  }
  Py_RETURN_NONE;
}

// Called with nothing the laps are entered, with a name a section ends, with an exception's three
// parts they are left.
[[gnu::hot]] PyObject* laps_call(PyObject* object, PyObject* const* arguments, size_t flagged_count,
                                 PyObject* keywords) {
  auto* self = reinterpret_cast<Laps*>(object);
  if (keywords == nullptr || PyTuple_GET_SIZE(keywords) == 0) {
    switch (PyVectorcall_NARGS(flagged_count)) {
      case 0:
        if (!enter(self)) {
          return nullptr;
        }
        Py_INCREF(object);
        return object;
      case 1:
        return lap(self, arguments[0]);
      case 3:
        close_section(self);
        if (!leave_scope(self->scope)) {
          return nullptr;
        }
        Py_RETURN_FALSE;
      default:
        break;
    }
  }
  PyErr_SetString(
      PyExc_TypeError,
      "laps are used as `with laps(...) as lap`, then lap(\"name\") where a section ends");
  return nullptr;
}

void laps_dealloc(PyObject* object) {
  auto* self = reinterpret_cast<Laps*>(object);
  PyTypeObject* type = Py_TYPE(object);
  close_section(self);
  Py_DECREF(self->scope);
  Py_DECREF(self->name);
  Py_DECREF(self->source);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* laps_repr(PyObject* object) {
  return PyUnicode_FromFormat("<fasttime laps %R>", reinterpret_cast<Laps*>(object)->name);
}

// Laps that are open are those of the block that opened them, so a copy is closed.
PyObject* laps_copy(PyObject* object, PyObject*) {
  auto* self = reinterpret_cast<Laps*>(object);
  PyObject* scope = scope_like(self->scope);
  return scope == nullptr ? nullptr : laps_around(self->source, scope, self->name);
}

PyObject* laps_reduce(PyObject* object, PyObject*) {
  auto* self = reinterpret_cast<Laps*>(object);
  return reduce(self->source, "laps", self->name, stream_of(self->scope));
}

PyMethodDef g_methods[] = {{"__copy__", &laps_copy, METH_NOARGS, nullptr},
                           {"__deepcopy__", &laps_copy, METH_O, nullptr},
                           {"__reduce__", &laps_reduce, METH_NOARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};
PyMemberDef g_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Laps, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot g_slots[] = {{Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                         {Py_tp_members, g_members},
                         {Py_tp_methods, g_methods},
                         {Py_tp_repr, reinterpret_cast<void*>(&laps_repr)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(&laps_dealloc)},
                         {0, nullptr}};
PyType_Spec g_spec = {
    "fasttime._C.Laps", sizeof(Laps), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, g_slots};

PyObject* laps_around(ScopeSource* source, PyObject* scope, PyObject* name) {
  auto* self = PyObject_New(Laps, g_laps_type);
  if (self == nullptr) {
    Py_DECREF(scope);
    return nullptr;
  }
  Py_INCREF(source);
  Py_INCREF(name);
  self->call = &laps_call;
  self->source = source;
  self->scope = scope;
  self->name = name;
  self->state = State::kClosed;
  return reinterpret_cast<PyObject*>(self);
}

}  // namespace

bool init_laps_type() {
  g_laps_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_spec));
  return g_laps_type != nullptr && add_context_methods(g_laps_type);
}

PyObject* laps_type() noexcept { return reinterpret_cast<PyObject*>(g_laps_type); }

PyObject* new_laps(ScopeSource* source, const ScopeName& name, PyObject* stream,
                   const Place& place) {
  PyObject* scope = new_scope(source, name, stream, place);
  return scope == nullptr ? nullptr : laps_around(source, scope, name.name);
}

}  // namespace fasttime
