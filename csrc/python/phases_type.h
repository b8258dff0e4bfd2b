// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "python/scope_type.h"

namespace fasttime {

// The CPython type behind `with phases("step") as phase:`, a scope that is cut into phases:
//
//     with phases("step") as phase:      the block, a scope like any other
//         phase("data")                  begins the phase step/data
//         phase("forward")               ends it, and begins step/forward at the same event
//                                        the end of the block ends the last phase, on one event
//
// n phases take n + 1 events, if the first call follows the beginning of the block at once: then it
// shares the block's first event. A phase is a child site of the block, and the parent of the
// scopes that open in it. Everything here needs the GIL.

// Makes the type; called once at import. False with an exception set.
bool init_phases_type();

// The type; borrowed.
PyObject* phases_type() noexcept;

// Phases that are not open yet. A new reference, or null with an exception set. Arguments as for
// new_scope().
PyObject* new_phases(ScopeSource* source, const ScopeName& name, PyObject* stream,
                     const Place& place);

}  // namespace fasttime
