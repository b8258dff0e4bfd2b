// SPDX-License-Identifier: BSD-3-Clause
#include "python/context_methods.h"

#include <structmember.h>

#include <cstddef>
#include <initializer_list>

namespace fasttime {
namespace {

PyTypeObject* g_method_type = nullptr;

struct Method {
  PyObject_HEAD vectorcallfunc call;
  PyTypeObject* type;  // whose method it is; borrowed, as that type owns this
};

[[gnu::hot]] PyObject* method_get(PyObject* self, PyObject* instance, PyObject*) {
  PyObject* bound = instance != nullptr ? instance : self;
  Py_INCREF(bound);
  return bound;
}

PyObject* method_call(PyObject* self, PyObject* const* arguments, size_t flagged_count,
                      PyObject* keywords) {
  const PyTypeObject* type = reinterpret_cast<Method*>(self)->type;
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  if (count < 1 || Py_TYPE(arguments[0]) != type) {
    PyErr_Format(PyExc_TypeError, "__enter__ and __exit__ need a %s", type->tp_name);
    return nullptr;
  }
  return PyObject_Vectorcall(arguments[0], arguments + 1, static_cast<size_t>(count - 1), keywords);
}

PyMemberDef g_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot g_slots[] = {{Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                         {Py_tp_descr_get, reinterpret_cast<void*>(&method_get)},
                         {Py_tp_members, g_members},
                         {0, nullptr}};
PyType_Spec g_spec = {"fasttime._C.ContextMethod", sizeof(Method), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                          Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      g_slots};

}  // namespace

bool add_context_methods(PyTypeObject* type) {
  if (g_method_type == nullptr) {
    g_method_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_spec));
  }
  for (const char* name : {"__enter__", "__exit__"}) {
    auto* method = g_method_type == nullptr ? nullptr : PyObject_New(Method, g_method_type);
    if (method == nullptr) {
      return false;
    }
    method->call = &method_call;
    method->type = type;
    const int status = PyObject_SetAttrString(reinterpret_cast<PyObject*>(type), name,
                                              reinterpret_cast<PyObject*>(method));
    Py_DECREF(method);
    if (status < 0) {
      return false;
    }
  }
  return true;
}

}  // namespace fasttime
