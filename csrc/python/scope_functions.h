// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "core/recorder.h"

namespace fasttime {

// The functions scope, begin, end and laps, as Python sees them. Everything here needs the GIL.

// Makes the types; called once at import. False with an exception set.
bool init_scope_functions();

// scope(name, *, stream=None), begin(name, *, stream=None), end(token) and laps(name, *,
// stream=None) of one recorder, as a tuple of four; null with an exception set. `owner` is kept
// alive by them, and must keep `recorder` alive.
PyObject* make_scope_functions(PyObject* owner, Recorder& recorder);

// Switches the functions of one recorder on or off, by the first of its four. False, or -1, with
// an exception set where `scope_function` is not one.
bool set_scopes_enabled(PyObject* scope_function, bool enabled);
int scopes_enabled(PyObject* scope_function);
// What its scopes call when they begin and end, see Marks; None for both to have none.
bool set_scope_marks(PyObject* scope_function, PyObject* begin, PyObject* end);

}  // namespace fasttime
