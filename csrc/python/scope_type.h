// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/recorder.h"
#include "python/marks.h"
#include "python/name_cache.h"
#include "python/passes.h"

namespace fasttime {

// The hand-written CPython type behind `with scope("name"):`. A scope object may be entered again
// while it is open, even by other threads and tasks.
//
// Everything here needs the GIL. Entering and leaving release the GIL around CUDA calls that may
// block because the launch queue is full: see csrc/LIMITS_AND_COSTS.md.

// One byte answers everything that entering asks about the source.
enum class ScopeMode : uint8_t { kOff, kOn, kOnAndMarking };

// What the scopes of one recorder have in common. A Python object, so that scopes can own it.
struct ScopeSource {
  PyObject head;
  Recorder* recorder;
  PyObject* owner;           // keeps the recorder alive
  PyObject* scope_function;  // a weak reference, owned: the function owns this object
  uint64_t number;           // the recorder's number on context stacks
  ScopeMode mode;
  Marks marks;
  NameCache names;
};

// Makes the type; called once at import. False with an exception set.
bool init_scope_type();

struct ScopeName {
  PyObject* name;  // an exact str, borrowed
  SiteTable::Id id;
  NameCache::Known* known;  // in the source's names, or null
};

// A scope that is not open yet. A new reference, or null with an exception set. `stream` is null,
// or the object that `place` was read from.
PyObject* new_scope(ScopeSource* source, const ScopeName& name, PyObject* stream,
                    const Place& place);
// Another scope of the same name and stream, not open. A new reference, or null with an exception
// set.
PyObject* scope_like(PyObject* scope);

// The type itself, borrowed.
PyObject* scope_type() noexcept;
bool is_scope(PyObject* object) noexcept;

// --- for objects that are scopes ---

// The stream object that it was made with, borrowed; null if there was none.
PyObject* stream_of(PyObject* scope) noexcept;
// The place that was read from the stream object; null if there was none.
const Place* place_of(PyObject* scope) noexcept;
// The newest open pass. Null if there is none, or if scopes were off when it began. Valid until the
// pass ends.
Pass* open_pass_of(PyObject* scope) noexcept;
bool is_entered_while_off(PyObject* scope) noexcept;

// Begins one pass. False with an exception set.
bool enter_scope(PyObject* scope);
// Ends one pass at the end of a `with` block. Scopes that began in the block, and are still open,
// stop being parents. False with an exception set if the scope is not open.
bool leave_scope(PyObject* scope);
// The same together with the block's last phase. Takes the phase's mark; null: no mark.
bool leave_scope_and_phase(PyObject* scope, OpenScope& phase, PyObject* mark);
// Ends one pass by its token, anywhere.
bool end_scope(PyObject* scope);
// Ends one pass that should never have begun: it counts nowhere.
bool cancel_scope(PyObject* scope);

// Suspends the newest pass while a decorated generator is suspended, with the scopes open in the
// generator. Meanwhile they are not parents. Resuming restores them, in the current context. False
// with an exception set.
void suspend_scope(PyObject* scope);
bool resume_scope(PyObject* scope);

}  // namespace fasttime
