// SPDX-License-Identifier: BSD-3-Clause
#include "python/marks.h"

namespace fasttime {
namespace {

// KeyboardInterrupt and SystemExit come from a signal handler that happened to run in the mark.
// They are meant for the program.
bool is_a_failure() { return PyErr_ExceptionMatches(PyExc_Exception) != 0; }

}  // namespace

Marks new_marks(PyObject* begin, PyObject* end) {
  Marks marks;
  if (begin != Py_None) {
    Py_INCREF(begin);
    Py_INCREF(end);
    marks = {begin, end};
  }
  return marks;
}

void drop_marks(const Marks& marks) {
  Py_XDECREF(marks.begin);
  Py_XDECREF(marks.end);
}

PyObject* begin_mark(const Marks& marks, PyObject* name) {
  PyObject* end = marks.end;  // the call may change the marks
  PyObject* begin = marks.begin;
  Py_INCREF(end);
  Py_INCREF(begin);
  PyObject* token = PyObject_CallFunctionObjArgs(begin, name, nullptr);
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
