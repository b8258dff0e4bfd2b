// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/recorder.h"
#include "python/marks.h"
#include "python/name_cache.h"

namespace fasttime {

// The hand-written CPython type behind `with scope("name"):`. A scope object may be entered again
// while it is open, also by other threads and tasks.
//
// Everything here needs the GIL. Entering and leaving let it go around their CUDA calls, which
// block where the launch queue is full: see csrc/DESIGN.md.

// One byte that entering looks at, whatever there is to choose from.
enum class ScopeMode : uint8_t { kOff, kOn, kOnAndMarking };

// What the scopes of one recorder have in common. A Python object, so that they can own it.
struct ScopeSource {
  PyObject_HEAD Recorder* recorder;
  PyObject* owner;           // keeps the recorder alive
  PyObject* scope_function;  // a weak reference, owned: the function owns this
  uint64_t number;           // tells recorders apart on a context's stack
  ScopeMode mode;
  Marks marks;
  NameCache names;
};

// Makes the types; called once at import. False with an exception set.
bool init_scope_type();

struct ScopeName {
  PyObject* name;  // an exact str, borrowed
  SiteTable::Id id;
  NameCache::Known* known;  // in the source's names, or null
};

// A scope that is not open yet; a new reference, or null with an exception set. `stream` is null,
// or the object that `place` was read from.
PyObject* new_scope(ScopeSource* source, const ScopeName& name, PyObject* stream,
                    const Place& place);

// Another one like it, not open; a new reference, or null with an exception set.
PyObject* scope_like(PyObject* scope);
// The stream object that it was given, borrowed; null if none was.
PyObject* stream_of(PyObject* scope) noexcept;
// What was read from that; null if none was given.
const Place* place_of(PyObject* scope) noexcept;

// The type itself, borrowed.
PyObject* scope_type() noexcept;
bool is_scope(PyObject* object) noexcept;
// Begins one pass; false with an exception set. The object must be a scope.
bool enter_scope(PyObject* scope);
// Ends one pass; false with an exception set where none is open. The object must be a scope. A
// block is left: what was begun in it and is still open is nobody's parent from then on. A token is
// ended, of which nothing of the kind can be said.
bool leave_scope(PyObject* scope);
bool end_scope(PyObject* scope);
// The pass begun last that is still open; null if there is none, as where scopes were switched off
// when it was entered. Valid until that pass ends.
const OpenScope* open_scope_of(PyObject* scope) noexcept;
bool is_entered_while_off(PyObject* scope) noexcept;
// While a generator is suspended its open scope is nobody's parent, nor is what was begun in it.
// Resumed, it is again, in whatever context it runs on. False with an exception set. The object
// must be a scope.
void suspend_scope(PyObject* scope);
bool resume_scope(PyObject* scope);

}  // namespace fasttime
