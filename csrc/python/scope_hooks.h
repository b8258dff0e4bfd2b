// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "python/scope_type.h"

namespace fasttime {

// What Python does for scopes and laps beyond timing. Everything here needs the GIL.

// Called once, at import: decorate(scope function, name, stream or None, function), and
// reduce(owner of the recorder, kind, name or None), which answers as object.__reduce__ does.
void set_scope_hooks(PyObject* decorate, PyObject* reduce);

// A function with a scope around each call; a new reference, or null with an exception set.
// `stream` is null where none was given.
PyObject* decorate(ScopeSource* source, PyObject* name, PyObject* stream, PyObject* function);

// How to pickle what the source's function `kind` made of a name, or, without a name, the source.
PyObject* reduce(ScopeSource* source, const char* kind, PyObject* name, PyObject* stream);

}  // namespace fasttime
