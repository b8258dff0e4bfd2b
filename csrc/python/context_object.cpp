// SPDX-License-Identifier: BSD-3-Clause
#include "python/context_object.h"

#include <structmember.h>

#include <algorithm>
#include <array>
#include <initializer_list>

namespace fasttime {
namespace {

PyTypeObject* g_exit_method_type = nullptr;
PyTypeObject* g_enter_type = nullptr;
PyTypeObject* g_exit_type = nullptr;

// What a type has under __enter__ or __exit__.
struct Descriptor {
  PyObject head;
  vectorcallfunc call;
  PyTypeObject* owner;  // borrowed: the owner holds this descriptor
};

void exit_method_dealloc(PyObject* method) { Py_DECREF(object_of(method)); }

const PyTypeObject* owner_of(PyObject* descriptor) noexcept {
  return reinterpret_cast<Descriptor*>(descriptor)->owner;
}

[[gnu::hot]] PyObject* get_enter(PyObject* descriptor, PyObject* instance, PyObject*) {
  PyObject* bound = instance != nullptr ? instance : descriptor;
  Py_INCREF(bound);
  return bound;
}

// The first reference to the exit method holds the instance; exit_method_dealloc() lets it go.
[[gnu::hot]] PyObject* get_exit(PyObject* descriptor, PyObject* instance, PyObject*) {
  if (instance == nullptr || Py_TYPE(instance) != owner_of(descriptor)) {
    Py_INCREF(descriptor);
    return descriptor;
  }
  auto* method = reinterpret_cast<PyObject*>(&reinterpret_cast<ContextObject*>(instance)->exit);
  if (Py_REFCNT(method) == 0) {
    Py_SET_REFCNT(method, 1);
    Py_INCREF(instance);
  } else {
    Py_INCREF(method);
  }
  return method;
}

// Calls the descriptor with the instance as first argument, as contextlib.ExitStack and newer
// interpreters do.
PyObject* call_unbound(PyObject* descriptor, PyObject* const* arguments, size_t flagged_count,
                       PyObject* keywords) {
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  const PyTypeObject* owner = owner_of(descriptor);
  if (count < 1 || Py_TYPE(arguments[0]) != owner) {
    PyErr_Format(PyExc_TypeError,
                 "__enter__ and __exit__ need a %s as first argument; write `with`",
                 owner->tp_name);
    return nullptr;
  }
  auto* object = reinterpret_cast<ContextObject*>(arguments[0]);
  const auto rest = static_cast<size_t>(count - 1);
  if (Py_TYPE(descriptor) == g_exit_type) {
    return object->exit.call(reinterpret_cast<PyObject*>(&object->exit), arguments + 1, rest,
                             keywords);
  }
  if (rest > 0 || has_keywords(keywords)) {
    PyErr_Format(PyExc_TypeError, "__enter__() takes no arguments, got %zd", count - 1);
    return nullptr;
  }
  return object->call(arguments[0], arguments + 1, 0, nullptr);
}

// A callable type without a constructor. `call_offset` is where its objects keep their vectorcall.
PyTypeObject* make_callable_type(const char* name, size_t size, size_t call_offset,
                                 std::initializer_list<PyType_Slot> further,
                                 unsigned long flags = 0) {
  PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, static_cast<Py_ssize_t>(call_offset), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  std::array<PyType_Slot, 8> slots{};  // the rest stays {0, nullptr}, which ends the list
  slots[0] = {Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)};
  slots[1] = {Py_tp_members, members};
  std::copy(further.begin(), further.end(), slots.begin() + 2);
  PyType_Spec spec = {name, static_cast<int>(size), 0,
                      static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                                            Py_TPFLAGS_DISALLOW_INSTANTIATION | flags),
                      slots.data()};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

bool add_descriptor(PyTypeObject* owner, const char* name, PyTypeObject* descriptor_type) {
  auto* descriptor = PyObject_New(Descriptor, descriptor_type);
  if (descriptor == nullptr) {
    return false;
  }
  descriptor->call = &call_unbound;
  descriptor->owner = owner;
  const int status = PyObject_SetAttrString(reinterpret_cast<PyObject*>(owner), name,
                                            reinterpret_cast<PyObject*>(descriptor));
  Py_DECREF(descriptor);
  return status == 0;
}

}  // namespace

bool init_context_objects() {
  g_exit_method_type =
      make_callable_type("fasttime._C.ExitMethod", sizeof(ExitMethod), offsetof(ExitMethod, call),
                         {{Py_tp_dealloc, reinterpret_cast<void*>(&exit_method_dealloc)}});
  g_enter_type = make_callable_type(
      "fasttime._C.EnterDescriptor", sizeof(Descriptor), offsetof(Descriptor, call),
      {{Py_tp_descr_get, reinterpret_cast<void*>(&get_enter)}}, Py_TPFLAGS_METHOD_DESCRIPTOR);
  g_exit_type = make_callable_type(
      "fasttime._C.ExitDescriptor", sizeof(Descriptor), offsetof(Descriptor, call),
      {{Py_tp_descr_get, reinterpret_cast<void*>(&get_exit)}}, Py_TPFLAGS_METHOD_DESCRIPTOR);
  return g_exit_method_type != nullptr && g_enter_type != nullptr && g_exit_type != nullptr;
}

PyTypeObject* make_context_type(const char* name, size_t size, PyMethodDef* methods,
                                reprfunc represent, destructor destroy) {
  PyTypeObject* type = make_callable_type(name, size, offsetof(ContextObject, call),
                                          {{Py_tp_methods, methods},
                                           {Py_tp_repr, reinterpret_cast<void*>(represent)},
                                           {Py_tp_dealloc, reinterpret_cast<void*>(destroy)}});
  if (type != nullptr && (!add_descriptor(type, "__enter__", g_enter_type) ||
                          !add_descriptor(type, "__exit__", g_exit_type))) {
    Py_CLEAR(type);
  }
  return type;
}

void init_context_object(ContextObject* object, vectorcallfunc call, vectorcallfunc exit) noexcept {
  object->call = call;
  // From Python 3.12 on, Py_SET_REFCNT leaves a count alone that looks immortal, as the count in
  // fresh memory may.
  object->exit = ExitMethod{};
  object->exit.call = exit;
  auto* method = reinterpret_cast<PyObject*>(&object->exit);
  Py_SET_TYPE(method, g_exit_method_type);
}

void refuse_exit_arguments(PyObject* object, Py_ssize_t count) {
  PyErr_Format(PyExc_TypeError,
               "__exit__ of %R takes an exception's type, value and traceback, got %zd arguments; "
               "to end it without an exception, call __exit__(None, None, None)",
               object, count);
}

}  // namespace fasttime
