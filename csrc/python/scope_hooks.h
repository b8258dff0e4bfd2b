// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "python/scope_type.h"

namespace fasttime {

// Python functions for decorating and pickling scopes and phases. Everything here needs the GIL.

// Called once, at import. decorate(scope function, name, stream or None, function) returns the
// decorated function. reduce(owner of the recorder, kind, name or None) returns what
// object.__reduce__ returns.
void set_scope_hooks(PyObject* decorate, PyObject* reduce);

// A function with a scope around each call; a new reference, or null with an exception set.
// `stream` may be null, or the owner of several streams, which become a tuple.
PyObject* decorate(ScopeSource* source, PyObject* name, PyObject* stream, PyObject* function);

// The answer of __reduce__ for an object that the source's function `kind` made from `name`. For
// the source itself, `name` is null.
PyObject* reduce(ScopeSource* source, const char* kind, PyObject* name, PyObject* stream);

}  // namespace fasttime
