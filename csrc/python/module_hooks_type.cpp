// SPDX-License-Identifier: BSD-3-Clause
// The type behind module hooks, as Python sees it.
#include "python/module_hooks_type.h"

#include <structmember.h>

#include <string_view>

#include "python/autograd_access.h"

namespace fasttime {
namespace {

PyTypeObject* g_hooks_type = nullptr;

ModuleHooks* of(PyObject* object) noexcept { return reinterpret_cast<ModuleHooks*>(object); }

bool name_id(ModuleHooks* hooks, PyObject* name, SiteTable::Id& id) {
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(name, &size);
  if (bytes == nullptr) {
    return false;
  }
  id = hooks->recorder->sites().intern(std::string_view(bytes, static_cast<size_t>(size)));
  return true;
}

// add_module(module, name, parent, is_opaque): (forward site, backward site). `parent` is the
// number of a module that was added, or -1.
PyObject* add_module(PyObject* object, PyObject* arguments) {
  ModuleHooks* hooks = of(object);
  PyObject* module = nullptr;
  PyObject* name = nullptr;
  Py_ssize_t parent = -1;
  int is_opaque = 0;
  ModuleHooks::Module added{};
  if (PyArg_ParseTuple(arguments, "OUnp", &module, &name, &parent, &is_opaque) == 0 ||
      !name_id(hooks, name, added.name)) {
    return nullptr;
  }
  const bool has_parent = parent >= 0 && static_cast<size_t>(parent) < hooks->modules.size();
  SiteTable& sites = hooks->recorder->sites();
  SiteTable::Id above_backward = SiteTable::kRoot;
  added.parent = has_parent ? static_cast<uint32_t>(parent) : ModuleHooks::kNone;
  added.is_opaque = is_opaque != 0;
  if (has_parent) {
    const ModuleHooks::Module& around = hooks->modules[static_cast<size_t>(parent)];
    added.forward = sites.child(around.forward, added.name);
    above_backward = around.backward;
  } else {
    added.forward = sites.child(SiteTable::kRoot, added.name);
    above_backward = sites.child(SiteTable::kRoot, sites.intern("backward"));
  }
  added.backward = sites.child(above_backward, added.name);
  hooks->index[module] = static_cast<uint32_t>(hooks->modules.size());
  hooks->modules.push_back(added);
  return Py_BuildValue("II", added.forward, added.backward);
}

PyObject* forget_module(PyObject* object, PyObject* address) {
  auto* module = static_cast<PyObject*>(PyLong_AsVoidPtr(address));
  if (PyErr_Occurred() != nullptr) {
    return nullptr;
  }
  of(object)->index.erase(module);
  Py_RETURN_NONE;
}

// The site of repeated calls of each module, by number; 0: there was none.
PyObject* recompute_sites(PyObject* object, PyObject*) {
  ModuleHooks* hooks = of(object);
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(hooks->modules.size()));
  for (size_t i = 0; list != nullptr && i < hooks->modules.size(); ++i) {
    PyObject* site = PyLong_FromUnsignedLong(hooks->modules[i].recompute);
    if (site == nullptr) {
      Py_CLEAR(list);
      break;
    }
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), site);
  }
  return list;
}

bool has_count(Py_ssize_t count, Py_ssize_t least) {
  if (count < least) {
    PyErr_Format(PyExc_TypeError, "a module hook got %zd arguments, and needs %zd", count, least);
    return false;
  }
  return true;
}

PyObject* method_before(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
  return has_count(count, 2) ? before_forward(of(object), arguments[0], arguments[1]) : nullptr;
}

PyObject* method_after(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
  return has_count(count, 3) ? after_forward(of(object), arguments[0], arguments[2]) : nullptr;
}

// set(times_modules, times_backward)
PyObject* set_timing(PyObject* object, PyObject* arguments) {
  int modules = 0;
  int backward = 0;
  if (PyArg_ParseTuple(arguments, "pp", &modules, &backward) == 0) {
    return nullptr;
  }
  of(object)->times_modules = modules != 0;
  of(object)->times_backward = backward != 0;
  Py_RETURN_NONE;
}

// set_steps(sites, ends_by_itself)
PyObject* set_steps(PyObject* object, PyObject* arguments) {
  StepParts& steps = of(object)->steps;
  PyObject* names = nullptr;
  int ends_by_itself = 0;
  if (PyArg_ParseTuple(arguments, "Op", &names, &ends_by_itself) == 0) {
    return nullptr;
  }
  SiteTable& sites = of(object)->recorder->sites();
  const SiteTable::Id step = sites.child(SiteTable::kRoot, sites.intern("step"));
  for (Py_ssize_t i = 0; i < static_cast<Py_ssize_t>(StepParts::kCount); ++i) {
    PyObject* name = PySequence_GetItem(names, i);
    SiteTable::Id id = 0;
    const bool is_good = name != nullptr && name_id(of(object), name, id);
    Py_XDECREF(name);
    if (!is_good) {
      return nullptr;
    }
    steps.sites[static_cast<size_t>(i)] = sites.child(step, id);
  }
  steps.is_on = true;
  steps.ends_by_itself = ends_by_itself != 0;
  Py_RETURN_NONE;
}

PyObject* step_sites(PyObject* object, PyObject*) {
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(StepParts::kCount));
  for (size_t i = 0; tuple != nullptr && i < StepParts::kCount; ++i) {
    PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i),
                     PyLong_FromUnsignedLong(of(object)->steps.sites[i]));
  }
  return tuple;
}

PyObject* method_begin_part(PyObject* object, PyObject* part) {
  const long number = PyLong_AsLong(part);
  if (number == -1 && PyErr_Occurred() != nullptr) {
    return nullptr;
  }
  begin_part(of(object), static_cast<uint8_t>(number));
  Py_RETURN_NONE;
}

// The thread of the step waits for data, or has it. Other threads do not count.
PyObject* begin_data(PyObject* object, PyObject*) {
  ModuleHooks* hooks = of(object);
  if (!hooks->steps.is_open || hooks->steps.thread == this_thread()) {
    begin_part(hooks, StepParts::kData);
  }
  Py_RETURN_NONE;
}

PyObject* end_data(PyObject* object, PyObject*) {
  ModuleHooks* hooks = of(object);
  if (hooks->steps.is_open && hooks->steps.thread == this_thread()) {
    begin_part(hooks, part_around(hooks));
  }
  Py_RETURN_NONE;
}

PyObject* before_optimizer(PyObject* object, PyObject* const*, Py_ssize_t) {
  of(object)->steps.is_in_optimizer = true;
  begin_part(of(object), StepParts::kOptimizer);
  Py_RETURN_NONE;
}

PyObject* after_optimizer(PyObject* object, PyObject* const*, Py_ssize_t) {
  of(object)->steps.is_in_optimizer = false;
  begin_part(of(object), StepParts::kOther);
  Py_RETURN_NONE;
}

// The last optimizer has stepped, which ends the step.
PyObject* finish_optimizer(PyObject* object, PyObject* const*, Py_ssize_t) {
  of(object)->steps.is_in_optimizer = false;
  if (of(object)->steps.ends_by_hand) {
    begin_part(of(object), StepParts::kOther);
  } else {
    end_step(of(object));
  }
  return finish_hook(of(object));
}

// From now on, steps end only by end_step(). Whether a step has just ended by itself.
PyObject* end_steps_by_hand(PyObject* object, PyObject*) {
  StepParts& steps = of(object)->steps;
  steps.ends_by_hand = true;
  steps.ends_by_itself = false;
  return PyBool_FromLong(steps.is_open && steps.ended != 0 && steps.parts == 0 &&
                         steps.part == StepParts::kOther);
}

PyObject* method_drop_step(PyObject* object, PyObject*) {
  drop_step(of(object));
  Py_RETURN_NONE;
}

PyObject* method_end_step(PyObject* object, PyObject*) {
  end_step(of(object));
  if (!call_step_ended(of(object))) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

// begin_period(): the steps from this one on belong to a new period.
PyObject* begin_period(PyObject* object, PyObject*) {
  if (HandleSeries* series = of(object)->recorder->handle_series()) {
    series->modules.begin_period(of(object)->steps.step);
  }
  Py_RETURN_NONE;
}

// (steps that ended, calls that were not timed, whether a backward pass was seen)
PyObject* counts(PyObject* object, PyObject*) {
  const ModuleHooks* hooks = of(object);
  return Py_BuildValue("KKN", hooks->steps.ended, hooks->refused,
                       PyBool_FromLong(hooks->steps.had_backward ? 1 : 0));
}

PyObject* set_callbacks(PyObject* object, PyObject* arguments) {
  PyObject* unknown_module = nullptr;
  PyObject* step_ended = nullptr;
  if (PyArg_ParseTuple(arguments, "OO", &unknown_module, &step_ended) == 0) {
    return nullptr;
  }
  unknown_module = unknown_module == Py_None ? nullptr : unknown_module;
  step_ended = step_ended == Py_None ? nullptr : step_ended;
  Py_XINCREF(unknown_module);
  Py_XINCREF(step_ended);
  Py_XSETREF(of(object)->unknown_module, unknown_module);
  Py_XSETREF(of(object)->step_ended, step_ended);
  Py_RETURN_NONE;
}

// The hooks of a pickled model do nothing in the process that loads it.
PyObject* hooks_reduce(PyObject*, PyObject*) {
  PyObject* module = PyImport_ImportModule("fasttime.modules.unpickled");
  PyObject* made = module == nullptr ? nullptr : PyObject_GetAttrString(module, "hooks");
  Py_XDECREF(module);
  return made == nullptr ? nullptr : Py_BuildValue("N()", made);
}

template <typename Function>
PyCFunction as_method(Function function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

PyMethodDef g_methods[] = {
    {"add_module", &add_module, METH_VARARGS, nullptr},
    {"forget_module", &forget_module, METH_O, nullptr},
    {"recompute_sites", &recompute_sites, METH_NOARGS, nullptr},
    {"before_forward", as_method(&method_before), METH_FASTCALL, nullptr},
    {"after_forward", as_method(&method_after), METH_FASTCALL, nullptr},
    {"set_timing", &set_timing, METH_VARARGS, nullptr},
    {"set_steps", &set_steps, METH_VARARGS, nullptr},
    {"step_sites", &step_sites, METH_NOARGS, nullptr},
    {"begin_part", &method_begin_part, METH_O, nullptr},
    {"begin_data", &begin_data, METH_NOARGS, nullptr},
    {"end_data", &end_data, METH_NOARGS, nullptr},
    {"before_optimizer", as_method(&before_optimizer), METH_FASTCALL, nullptr},
    {"after_optimizer", as_method(&after_optimizer), METH_FASTCALL, nullptr},
    {"finish_optimizer", as_method(&finish_optimizer), METH_FASTCALL, nullptr},
    {"end_steps_by_hand", &end_steps_by_hand, METH_NOARGS, nullptr},
    {"drop_step", &method_drop_step, METH_NOARGS, nullptr},
    {"end_step", &method_end_step, METH_NOARGS, nullptr},
    {"begin_period", &begin_period, METH_NOARGS, nullptr},
    {"counts", &counts, METH_NOARGS, nullptr},
    {"set_callbacks", &set_callbacks, METH_VARARGS, nullptr},
    {"close", &close_hooks, METH_NOARGS, nullptr},
    {"__reduce__", &hooks_reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyMemberDef g_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ModuleHooks, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot g_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&free_hooks)},
                         {Py_tp_traverse, reinterpret_cast<void*>(&traverse_hooks)},
                         {Py_tp_clear, reinterpret_cast<void*>(&clear_hooks)},
                         {Py_tp_methods, g_methods},
                         {Py_tp_members, g_members},
                         {0, nullptr}};
PyType_Spec g_spec = {"fasttime._C.ModuleHooks", sizeof(ModuleHooks), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      g_slots};

}  // namespace

bool init_module_hooks() {
  g_hooks_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_spec));
  return g_hooks_type != nullptr && init_backward_marks();
}

PyObject* module_hooks_type() noexcept { return reinterpret_cast<PyObject*>(g_hooks_type); }

SiteTable::Id recompute_name(ModuleHooks* hooks) {
  return hooks->recorder->sites().intern("recompute");
}

}  // namespace fasttime
