// SPDX-License-Identifier: BSD-3-Clause
#include "marks.h"

namespace fasttime {

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
  PyObject* end = marks.end;  // whoever is called may change them
  PyObject* begin = marks.begin;
  Py_INCREF(end);
  Py_INCREF(begin);
  PyObject* token = PyObject_CallFunctionObjArgs(begin, name, nullptr);
  PyObject* pair = token == nullptr ? nullptr : PyTuple_Pack(2, end, token);
  if (pair == nullptr) {
    PyErr_WriteUnraisable(begin);
  }
  Py_XDECREF(token);
  Py_DECREF(begin);
  Py_DECREF(end);
  return pair;
}

void end_mark(PyObject* token) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyObject* end = PyTuple_GET_ITEM(token, 0);
  PyObject* result = PyObject_CallFunctionObjArgs(end, PyTuple_GET_ITEM(token, 1), nullptr);
  if (result == nullptr) {
    PyErr_WriteUnraisable(end);
  }
  Py_XDECREF(result);
  Py_DECREF(token);
  PyErr_Restore(type, value, traceback);
}

}  // namespace fasttime
