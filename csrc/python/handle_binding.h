// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Adds the functions that a handle of instrument() needs to the module: its hooks, and what they
// have counted. Throws pybind11's exceptions.
void define_handle(PyObject* module);

}  // namespace fasttime
