// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

#include "python/context_stack.h"

namespace fasttime {

// Finds the stack of the current Python context, in a context variable. Needs the GIL.

// Makes the variable; called once at import. False with an exception set.
bool init_current_stack();

// The stack of the current context, made if there is none. A new reference, or null with an
// exception set. `process` is process_number(). May run any Python code, such as finalisers.
ContextStack* current_stack(uint32_t process);

// The same if this thread asked last and has not changed its context since; null otherwise. Runs no
// Python code.
ContextStack* cached_stack(uint32_t process) noexcept;

}  // namespace fasttime
