// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "cuda/places.h"

namespace fasttime {

// The arguments stream= and streams= of the scope functions. Everything here needs the GIL.

// Reads the place of a torch.cuda.Stream, or of a raw handle on the current device. False with an
// exception set.
bool parse_stream(PyObject* stream, Place& place);

// Reads streams=: the streams of one device, each counted once. Returns an owner for new_scope(),
// and sets the `place` that stands for the streams and is valid as long as the owner. A new
// reference, or null with an exception set. For one stream, the result is as for stream=.
PyObject* parse_streams(PyObject* streams, Place& place);

// The tuple of streams that the owner was made from, borrowed; null if it is a single stream.
PyObject* streams_of(PyObject* owner) noexcept;

}  // namespace fasttime
