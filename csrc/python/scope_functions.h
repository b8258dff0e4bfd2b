// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "core/recorder.h"

namespace fasttime {

// The functions scope, begin, end and phases, as Python sees them. Everything here needs the GIL.

// Makes the types; called once at import. False with an exception set.
bool init_scope_functions();

// One recorder's scope(name, *, stream=None, streams=None), begin(...) with the same arguments,
// end(token) and phases(name, *, stream=None), as a tuple of four; null with an exception set. They
// keep `owner` alive, and `owner` must keep `recorder` alive.
PyObject* make_scope_functions(PyObject* owner, Recorder& recorder);

// Switches the functions of a recorder on or off. `scope_function` is the first of the four; for
// another object the answer is false, or -1, with an exception set.
bool set_scopes_enabled(PyObject* scope_function, bool enabled);
int scopes_enabled(PyObject* scope_function);
// Sets the functions that scopes call when they begin and end, see Marks; None for both: no marks.
bool set_scope_marks(PyObject* scope_function, PyObject* begin, PyObject* end, bool has_details);

}  // namespace fasttime
