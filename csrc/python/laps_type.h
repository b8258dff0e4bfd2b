// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "python/scope_type.h"

namespace fasttime {

// The CPython type behind `with laps("step") as lap:`: a scope cut into sections that lie end to
// end, each named by lap("name") as it ends. n sections take n + 1 events, and nothing lies between
// two of them. Built like the scope type; everything here needs the GIL.

// Makes the type; called once at import. False with an exception set.
bool init_laps_type();

// The type; borrowed.
PyObject* laps_type() noexcept;

// Laps that have not begun; a new reference, or null with an exception set. Arguments as new_scope.
PyObject* new_laps(ScopeSource* source, const ScopeName& name, PyObject* stream,
                   const Place& place);

}  // namespace fasttime
