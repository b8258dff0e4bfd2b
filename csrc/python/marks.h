// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include "core/site_table.h"
#include "cuda/torch_streams.h"

namespace fasttime {

// Marks that scopes and phases leave in the timelines of other tools, such as NVTX ranges: two
// Python callables, begin(name) -> token and end(token). If a callable raises an Exception, it is
// reported as unraisable and never reaches the scope. KeyboardInterrupt, SystemExit and the like
// pass through. Everything here needs the GIL.
//
// With `has_details`, begin(name, parent, places) also gets the number of the parent's site, and
// the streams that the scope was given: a tuple of (device, handle), empty for the current stream.
struct Marks {
  PyObject* begin = nullptr;  // owned; null: no marks
  PyObject* end = nullptr;    // owned
  bool has_details = false;
};

// Marks that own both callables. None for both means no marks.
Marks new_marks(PyObject* begin, PyObject* end, bool has_details);
// Releases both callables. This may run any code, so no source may use these marks any more.
void drop_marks(const Marks& marks);

// Begins a mark. Returns a new reference to a token for end_mark(), which holds the callable that
// ends the mark. Null if begin() failed, with an exception set if it passes through.
// `parent` and `chosen` (may be null) are only used with `has_details`.
PyObject* begin_mark(const Marks& marks, PyObject* name, SiteTable::Id parent, const Place* chosen);
// Ends a mark, and takes the reference to its token. An exception that is already set stays set.
// False if end() itself raised an exception that passes through.
bool end_mark(PyObject* token);

}  // namespace fasttime
