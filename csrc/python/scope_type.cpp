// SPDX-License-Identifier: BSD-3-Clause
#include "python/scope_type.h"

#include <array>
#include <cstddef>
#include <new>

#include "python/context_object.h"
#include "python/current_stack.h"
#include "python/scope_hooks.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

PyTypeObject* g_scope_type = nullptr;

struct Scope {
  ContextObject base;   // first: a Scope is a ContextObject
  ScopeSource* source;  // owned
  NameCache::Known* known;
  PyObject* stream_owner;  // keeps a stream object alive; null if none was given
  Passes passes;
  PyObject* name;  // owned if it is not `known`
  SiteTable::Id name_id;
  Place place;
};

// Freed scopes, kept for the next ones. Each still has its type's reference.
constexpr int kMaxSpare = 64;
std::array<Scope*, kMaxSpare> g_spare;
int g_spare_count = 0;

// Begins a pass. Frees it, with an exception set, if that fails.
[[gnu::always_inline]] inline bool begin_pass(Scope* self, Pass* pass) {
  if (pass == nullptr) {
    return false;
  }
  ScopeSource* source = self->source;
  if (!runtime().has_cuda) {
    bind_if_cuda_is_up();
  }
  Recorder& recorder = *source->recorder;
  int64_t entered_ns = recorder.enter_call();
  ContextStack* stack = cached_stack(recorder.process());
  if (stack == nullptr) {
    stack = current_stack(recorder.process());
    if (stack == nullptr) {
      self->passes.free(pass);
      return false;
    }
    // Finalisers or other Python code may have run.
    entered_ns = recorder.enter_call();
  }
  const SiteTable::Id site =
      site_of(recorder.sites(), self->known, innermost(stack, source->number), self->name_id);
  if (!push(stack, pass, source->number, site)) {
    Py_DECREF(stack);
    self->passes.free(pass);
    return false;
  }
  recorder.begin(pass->open, site, self->stream_owner == nullptr ? nullptr : &self->place,
                 entered_ns);
  // Last: begin() may release the GIL, and no other thread may end the pass before it has begun.
  self->passes.add(pass);
  return true;
}

// The mark begins before the scope and ends after it, so the scope's times exclude its cost.
[[gnu::noinline]] bool enter_marking(Scope* self) {
  PyObject* mark = begin_mark(self->source->marks, self->name);
  if (mark == nullptr && PyErr_Occurred() != nullptr) {
    return false;
  }
  Pass* pass = self->passes.allocate_marked(mark);
  if (pass == nullptr && mark != nullptr) {
    end_mark(mark);
  }
  return begin_pass(self, pass);
}

[[gnu::hot]] bool enter(Scope* self) {
  ScopeSource* source = self->source;
  if (source->mode == ScopeMode::kOn) {
    return begin_pass(self, self->passes.allocate());
  }
  if (source->mode == ScopeMode::kOnAndMarking) {
    return enter_marking(self);
  }
  return self->passes.begin_off(source->recorder->process(), source->number);
}

// Ends a pass that began while scopes were off. False with an exception set if there is none.
[[gnu::noinline]] bool end_counted_pass(Scope* self) {
  if (self->passes.end_begun_off()) {
    return true;
  }
  PyErr_Format(PyExc_RuntimeError,
               "scope %R is not open: it has ended already, or never began; call end() once per "
               "begin(), or __exit__() once per __enter__()",
               self->name);
  return false;
}

// Ends the pass that belongs to this exit: `end` ends its times, `remove` its place on the stack.
// Takes the mark of a phase that ends with it, or null. False with an exception set if there is no
// such pass, or if the end of a mark was interrupted.
template <typename End, typename Remove>
[[gnu::always_inline]] inline bool end_pass(Scope* self, End end, Remove remove,
                                            PyObject* phase_mark = nullptr) {
  if (self->passes.newest() == nullptr) {
    return end_counted_pass(self);
  }
  Recorder& recorder = *self->source->recorder;
  Pass* pass = self->passes.take(recorder.process());
  if (pass == nullptr) {
    return end_counted_pass(self);
  }
  end(recorder, pass->open);
  remove(pass);
  // Before marks end, which run Python code that may put work on the stream.
  recorder.leave_call();
  const bool is_phase_whole = phase_mark == nullptr || end_mark(phase_mark);
  return self->passes.free(pass) && is_phase_whole;
}

[[gnu::hot]] bool leave(PyObject* object) {
  const auto end = [](Recorder& recorder, OpenScope& open) { recorder.end(open); };
  return end_pass(reinterpret_cast<Scope*>(object), end, &remove_block);
}

[[gnu::cold, gnu::noinline]] void abandon_passes(Scope* self) {
  while (Pass* pass = self->passes.take_newest()) {
    self->source->recorder->abandon(pass->open);
    remove(pass);
    if (!self->passes.free(pass)) {
      PyErr_WriteUnraisable(self->name);  // a deallocation cannot raise
    }
  }
}

[[gnu::hot]] void scope_dealloc(PyObject* object) {
  auto* self = reinterpret_cast<Scope*>(object);
  if (self->passes.newest() != nullptr) {
    abandon_passes(self);
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

[[gnu::cold]] PyObject* refuse_call(Scope* self, Py_ssize_t count) {
  PyErr_Format(PyExc_TypeError,
               "scope %R got a call with %zd arguments; write `with scope(%R):` around a block, or "
               "@scope(%R) above a function",
               self->name, count, self->name, self->name);
  return nullptr;
}

PyObject* decorate_with(Scope* self, PyObject* function) {
  if (self->passes.newest() != nullptr) {
    PyErr_Format(PyExc_TypeError,
                 "scope %R is open, so it cannot decorate; write @scope(%R), without another ()",
                 self->name, self->name);
    return nullptr;
  }
  return decorate(self->source, self->name, self->stream_owner, function);
}

// No argument: __enter__. One argument: a function to decorate.
[[gnu::hot]] PyObject* scope_call(PyObject* object, PyObject* const* arguments,
                                  size_t flagged_count, PyObject* keywords) {
  auto* self = reinterpret_cast<Scope*>(object);
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  if (count > 1 || has_keywords(keywords)) {
    return refuse_call(self, count);
  }
  if (count == 1) {
    return decorate_with(self, arguments[0]);
  }
  if (!enter(self)) {
    return nullptr;
  }
  Py_INCREF(object);
  return object;
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
    init_context_object(&self->base, &scope_call, &call_exit<&leave>);
    new (&self->passes) Passes(self);
  }
  return self;
}

// A copied model shares its scope objects with the original, and times the same sites.
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
}  // namespace

bool init_scope_type() {
  g_scope_type = make_context_type("fasttime._C.Scope", sizeof(Scope), g_scope_methods, &scope_repr,
                                   &scope_dealloc);
  return g_scope_type != nullptr;
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
  self->passes.forget_begun_off();
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

Pass* open_pass_of(PyObject* scope) noexcept {
  return reinterpret_cast<Scope*>(scope)->passes.newest();
}

bool is_entered_while_off(PyObject* scope) noexcept {
  return reinterpret_cast<Scope*>(scope)->passes.has_begun_off();
}

bool leave_scope(PyObject* scope) { return leave(scope); }

bool leave_scope_and_phase(PyObject* scope, OpenScope& phase, PyObject* mark) {
  const auto end = [&](Recorder& recorder, OpenScope& open) { recorder.end_block(open, phase); };
  return end_pass(reinterpret_cast<Scope*>(scope), end, &remove_block, mark);
}

bool end_scope(PyObject* scope) {
  const auto end = [](Recorder& recorder, OpenScope& open) { recorder.end(open); };
  return end_pass(reinterpret_cast<Scope*>(scope), end, &remove);
}

bool cancel_scope(PyObject* scope) {
  const auto cancel = [](Recorder& recorder, OpenScope& open) { recorder.cancel(open); };
  return end_pass(reinterpret_cast<Scope*>(scope), cancel, &remove);
}

void suspend_scope(PyObject* scope) {
  if (Pass* pass = open_pass_of(scope)) {
    suspend(pass);
  }
}

bool resume_scope(PyObject* scope) {
  const ScopeSource* source = reinterpret_cast<Scope*>(scope)->source;
  const uint32_t process = source->recorder->process();
  Pass* pass = open_pass_of(scope);
  if (pass == nullptr || pass->open.process != process) {
    return true;  // nothing is open, or it belongs to the parent of a fork
  }
  ContextStack* stack = current_stack(process);
  const bool is_resumed = stack != nullptr && resume(pass, stack, source->number, pass->open.site);
  Py_XDECREF(stack);
  return is_resumed;
}

}  // namespace fasttime
