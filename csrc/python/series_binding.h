// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Adds the class Series and bucket_middles_ns() to the module. May throw what pybind11 throws.
void define_series(PyObject* module);

}  // namespace fasttime
