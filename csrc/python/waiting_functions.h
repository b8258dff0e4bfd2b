// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Adds the functions of `measure` and `compare` to the module: waiting, and the clock. Returns
// false with a Python error set on failure.
bool add_waiting_functions(PyObject* module);

}  // namespace fasttime
