// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Marks that scopes leave in the timelines of other tools, such as NVTX ranges: two Python
// callables, begin(name) -> token and end(token). An Exception that they raise is reported as
// unraisable and never reaches the scope; what is none, such as KeyboardInterrupt, passes through.
// Everything here needs the GIL.
struct Marks {
  PyObject* begin = nullptr;  // owned; null: none are wanted
  PyObject* end = nullptr;    // owned
};

// Marks that own both; None for both wants none.
Marks new_marks(PyObject* begin, PyObject* end);
// Gives both up, whose end may run anything: by then they must be nobody's marks any more.
void drop_marks(const Marks& marks);

// A new reference to a token for end_mark(), holding on to the callable that ends it; null where
// begin failed, with an exception set where that is to pass through.
PyObject* begin_mark(const Marks& marks, PyObject* name);
// Takes the reference. False with an exception set where one is to pass through; one that is on its
// way already stays.
bool end_mark(PyObject* token);

}  // namespace fasttime
