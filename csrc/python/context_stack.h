// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/site_table.h"

namespace fasttime {

// The scopes open in one Python context, innermost last: how a scope finds its parent. Each thread
// and each asyncio task has a context of its own, hence a stack of its own. A new context that was
// copied from another starts under what is open in that other one when its first scope begins, and
// stays under it for as long as it is open there; a new thread starts at the root. Generators have
// no context of their own. A context that is given back what was set in a copy of it goes on with
// its own stack.
//
// Scopes of all recorders share the stack; `recorder` tells them apart. Everything here needs the
// GIL and raises nothing but MemoryError.
struct ContextStack;

// Makes the type and the context variable; called once at import. False with an exception set.
bool init_context_stack();

// The stack of the current context, a new reference; null with an exception set. `process` is
// process_number().
ContextStack* current_stack(uint32_t process);
// The same where it is known at once, without anything being made; null otherwise.
ContextStack* stack_at_hand(uint32_t process) noexcept;

// The innermost open site of this recorder, or the root.
SiteTable::Id innermost(ContextStack* stack, uint64_t recorder) noexcept;

// `scope` identifies the entry for remove(), which finds it wherever in the stack it is: scopes may
// end out of order, and in another thread than they began in.
bool push(ContextStack* stack, const void* scope, uint64_t recorder, SiteTable::Id site) noexcept;
void remove(ContextStack* stack, const void* scope) noexcept;
// The same at the end of a block: with it goes what was begun inside and is still open, since it
// would be the parent of all that comes after the block. But not where the block ends in another
// context than `stack` is of, which has scopes of its own.
void remove_block(ContextStack* stack, const void* scope) noexcept;

}  // namespace fasttime
