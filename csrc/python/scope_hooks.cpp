// SPDX-License-Identifier: BSD-3-Clause
#include "python/scope_hooks.h"

#include "python/stream_arguments.h"

namespace fasttime {
namespace {

PyObject* g_decorate = nullptr;
PyObject* g_reduce = nullptr;

}  // namespace

void set_scope_hooks(PyObject* decorate, PyObject* reduce) {
  Py_INCREF(decorate);
  Py_XSETREF(g_decorate, decorate);
  Py_INCREF(reduce);
  Py_XSETREF(g_reduce, reduce);
}

// The streams as the user gave them.
static PyObject* as_given(PyObject* stream) noexcept {
  PyObject* streams = stream == nullptr ? nullptr : streams_of(stream);
  return streams == nullptr ? stream : streams;
}

PyObject* decorate(ScopeSource* source, PyObject* name, PyObject* stream, PyObject* function) {
  PyObject* scope_function = PyObject_CallNoArgs(source->scope_function);  // a weak reference
  if (scope_function == nullptr) {
    return nullptr;
  }
  PyObject* decorated = function;
  if (scope_function == Py_None && PyCallable_Check(function)) {
    Py_INCREF(function);  // the recorder is gone, so no report would show the times
  } else {
    decorated = PyObject_CallFunctionObjArgs(g_decorate, scope_function, name,
                                             stream == nullptr ? Py_None : as_given(stream),
                                             function, nullptr);
  }
  Py_DECREF(scope_function);
  return decorated;
}

PyObject* reduce(ScopeSource* source, const char* kind, PyObject* name, PyObject* stream) {
  if (stream != nullptr) {
    PyErr_Format(
        PyExc_TypeError,
        "%s %R cannot be pickled, because its stream %R exists in this process only; make it "
        "without stream=",
        kind, name, as_given(stream));
    return nullptr;
  }
  return PyObject_CallFunction(g_reduce, "OsO", source->owner, kind,
                               name == nullptr ? Py_None : name);
}

}  // namespace fasttime
