// SPDX-License-Identifier: BSD-3-Clause
#include "python/marks.h"

#include "cuda/places.h"

namespace fasttime {
namespace {

// KeyboardInterrupt and SystemExit come from a signal handler that happened to run in the mark.
// They are meant for the program.
bool is_a_failure() { return PyErr_ExceptionMatches(PyExc_Exception) != 0; }

// The streams that a scope was given, as a tuple. A new reference, or null with an exception set.
PyObject* chosen_places(const Place* chosen) {
  Places several;
  if (chosen != nullptr) {
    several.device = chosen->device;
    several.count = 1;
    several.streams[0] = chosen->stream;
    if (const Places* places = places_of(*chosen)) {
      several = *places;
    }
  }
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(several.count));
  for (size_t i = 0; tuple != nullptr && i < several.count; ++i) {
    PyObject* place = Py_BuildValue(
        "iK", several.device,
        static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(several.streams[i])));
    if (place == nullptr) {
      Py_CLEAR(tuple);
    } else {
      PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), place);
    }
  }
  return tuple;
}

PyObject* call_begin(PyObject* begin, PyObject* name, SiteTable::Id parent, const Place* chosen) {
  PyObject* places = chosen_places(chosen);
  PyObject* token =
      places == nullptr
          ? nullptr
          : PyObject_CallFunction(begin, "OIO", name, static_cast<unsigned>(parent), places);
  Py_XDECREF(places);
  return token;
}

}  // namespace

Marks new_marks(PyObject* begin, PyObject* end, bool has_details) {
  Marks marks;
  if (begin != Py_None) {
    Py_INCREF(begin);
    Py_INCREF(end);
    marks = {begin, end, has_details};
  }
  return marks;
}

void drop_marks(const Marks& marks) {
  Py_XDECREF(marks.begin);
  Py_XDECREF(marks.end);
}

PyObject* begin_mark(const Marks& marks, PyObject* name, SiteTable::Id parent,
                     const Place* chosen) {
  PyObject* end = marks.end;  // the call may change the marks
  PyObject* begin = marks.begin;
  Py_INCREF(end);
  Py_INCREF(begin);
  PyObject* token = marks.has_details ? call_begin(begin, name, parent, chosen)
                                      : PyObject_CallFunctionObjArgs(begin, name, nullptr);
  PyObject* pair = token == nullptr ? nullptr : PyTuple_Pack(2, end, token);
  if (pair == nullptr && is_a_failure()) {
    PyErr_WriteUnraisable(begin);
  }
  Py_XDECREF(token);
  Py_DECREF(begin);
  Py_DECREF(end);
  return pair;
}

bool end_mark(PyObject* token) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyObject* end = PyTuple_GET_ITEM(token, 0);
  PyObject* result = PyObject_CallFunctionObjArgs(end, PyTuple_GET_ITEM(token, 1), nullptr);
  const bool goes_on = result != nullptr || type != nullptr || is_a_failure();
  if (result == nullptr && goes_on) {
    PyErr_WriteUnraisable(end);
  }
  Py_XDECREF(result);
  Py_DECREF(token);
  if (goes_on) {
    PyErr_Restore(type, value, traceback);
  }
  return goes_on;
}

}  // namespace fasttime
