// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstddef>

namespace fasttime {

// What scope and phases objects have in common: a fast `with`. Everything here needs the GIL.
//
// `with object:` looks up __enter__ and __exit__, and calls both. For usual methods, each look-up
// allocates a method object. Here the look-ups allocate nothing:
//   object.__enter__ is the object itself. Called without arguments, it enters.
//   object.__exit__ is a small Python object inside the object. A reference to it keeps the whole
//   object alive.
struct ExitMethod {
  PyObject head;
  vectorcallfunc call;
};
struct ContextObject {
  PyObject head;
  vectorcallfunc call;
  ExitMethod exit;
};

// Makes the types behind the methods; called once at import. False with an exception set.
bool init_context_objects();

// Makes a callable type for objects that begin with a ContextObject, with __enter__, __exit__ and
// `methods`. Null with an exception set.
PyTypeObject* make_context_type(const char* name, size_t size, PyMethodDef* methods,
                                reprfunc represent, destructor destroy);

// Fills in a new object. `call` serves calls of the object, `exit` serves calls of its
// __exit__.
void init_context_object(ContextObject* object, vectorcallfunc call, vectorcallfunc exit) noexcept;

// The object that this __exit__ belongs to.
inline PyObject* object_of(PyObject* exit_method) noexcept {
  return reinterpret_cast<PyObject*>(reinterpret_cast<char*>(exit_method) -
                                     offsetof(ContextObject, exit));
}

// Sets the TypeError for an __exit__ that was not called with the three parts of an exception.
[[gnu::cold]] void refuse_exit_arguments(PyObject* object, Py_ssize_t count);

inline bool has_keywords(PyObject* keywords) noexcept {
  return keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0;
}

// A vectorcall for ExitMethod. `leave` answers false with an exception set.
template <bool (*leave)(PyObject* object)>
PyObject* call_exit(PyObject* method, PyObject* const*, size_t flagged_count, PyObject* keywords) {
  PyObject* object = object_of(method);
  const Py_ssize_t count = PyVectorcall_NARGS(flagged_count);
  if (count != 3 || has_keywords(keywords)) {
    refuse_exit_arguments(object, count);
    return nullptr;
  }
  if (!leave(object)) {
    return nullptr;
  }
  Py_RETURN_FALSE;
}

}  // namespace fasttime
