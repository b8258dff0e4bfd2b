// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Adds the class Recorder and the values that it returns to the module. May throw what pybind11
// throws.
void define_recorder(PyObject* module);

}  // namespace fasttime
