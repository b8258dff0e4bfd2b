// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Defines StreamWatch and current_stream() in the module. Called once at import; throws if that
// fails. Streams are pairs of device and handle in Python.
void define_stream_watch(PyObject* module);

}  // namespace fasttime
