// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/site_table.h"

namespace fasttime {

// The stack of open scopes, on which a new scope finds its parent:
//
//     with scope("step"):               stack: step
//         with scope("forward"):        stack: step, forward      parent of `forward`: step
//             task = create_task(f())   the task's stack, made by its first scope:
//                                       (step), (forward)         both inherited
//
// Each Python context has a stack of its own. So each thread and each asyncio task has one, but a
// generator shares its caller's. Scopes of all recorders are on the same stack.
//
// A context that was copied from another inherits the entries that are open there when the copy
// begins its first scope. An inherited entry is a parent for as long as the original entry is on
// its stack. A new thread starts with an empty stack.
//
// Scopes may end in any order, and in a thread or a task other than the one that began them. So
// each open scope remembers its stack, and its entry may lie anywhere in it.
//
// Everything here needs the GIL. The only exception raised is MemoryError.
struct ContextStack;

// Something that is open: one pass through a scope, or a phase. Its entry points to it.
struct StackMember {
  ContextStack* stack;  // where its entry is, or was; owned by a scope's pass, unused by a phase
  const void* object;   // the scope object; null for a phase
};

struct StackEntry {
  StackMember* member;  // null: inherited
  uint64_t recorder;    // the number of its recorder
  SiteTable::Id site;
  uint32_t number;  // differs between pushes; an inherited entry has the original's number
};

// Which context a stack belongs to. Stacks that inherited entries keep this alive, to find out
// whether the stack and its context still exist.
struct StackOwner {
  PyObject* context = nullptr;  // a weak reference, owned: a strong one would be a cycle
  ContextStack* stack;          // null once the stack is gone
  size_t inherited;             // how many of the stack's first entries are inherited

  StackOwner(ContextStack* of, size_t count) noexcept : stack(of), inherited(count) {}
  ~StackOwner() { Py_XDECREF(context); }
  StackOwner(const StackOwner&) = delete;
  StackOwner& operator=(const StackOwner&) = delete;
};
using StackOwners = std::vector<std::shared_ptr<StackOwner>>;

struct ContextStack {
  PyObject head;
  uint32_t process;  // a fork makes all entries meaningless in the child
  uint32_t missing;  // how many scopes are open without an entry: see remove_block() and suspend()
  std::vector<StackEntry> entries;    // innermost last
  std::shared_ptr<StackOwner> owner;  // null: holds the entries of a suspended generator
  StackOwners ancestors;  // of the stacks that entries were inherited from, outermost first
};

// --- making stacks ---

// Makes the type; called once at import. False with an exception set.
bool init_context_stack();
bool is_context_stack(PyObject* object) noexcept;
// A stack that inherits the open ones among the first `count` entries of `above`, which may be
// null. A new reference, or null with MemoryError set.
ContextStack* new_stack(const ContextStack* above, size_t count, StackOwners ancestors);
// Whether a stack belongs to the current context.
bool is_current(const StackOwner& owner) noexcept;
// The context itself, to be compared; null if it is gone.
const PyObject* context_of(const StackOwner& owner) noexcept;

// --- entries ---

// The site of the recorder's innermost open entry, or the root.
inline SiteTable::Id innermost(ContextStack* stack, uint64_t recorder) noexcept;
// Adds an entry for the member. Takes the caller's reference to the stack. False with MemoryError
// set, and then takes nothing.
inline bool push(ContextStack* stack, StackMember* member, uint64_t recorder,
                 SiteTable::Id site) noexcept;
// Removes the member's entry, if it still has one, and releases its stack.
inline void remove(StackMember* member) noexcept;
// The same at the end of a `with` block: also removes the entries above, of scopes that began in
// the block and are still open. They would be parents of everything after the block. If the block
// ends in another context, the entries above stay.
inline void remove_block(StackMember* member) noexcept;
// The innermost member of a scope object on the stack; null if there is none.
StackMember* find_member(const ContextStack* stack, const void* object) noexcept;

// Makes `site` the current phase of `block`. The phase's entry lies directly above the block's, so
// scopes that are open in the block stay parents of the scopes inside them. If the block has no
// entry, or without memory, the phase gets no entry and is not a parent. Takes no reference.
inline void set_phase(ContextStack* stack, const StackMember* block, StackMember* phase,
                      uint64_t recorder, SiteTable::Id site) noexcept;
inline void remove_phase(ContextStack* stack, const StackMember* phase) noexcept;

// suspend() takes the entries of a decorated generator's scope, and of the scopes open in the
// generator, off the stack. So the caller's scopes do not become their children. resume() puts the
// entries on the current context's stack. False with MemoryError set.
void suspend(StackMember* member) noexcept;
bool resume(StackMember* member, ContextStack* stack, uint64_t recorder, SiteTable::Id site);

// --- the usual cases of the above, inline ---

extern uint32_t g_last_push;
SiteTable::Id innermost_open(ContextStack* stack, uint64_t recorder) noexcept;
void remove_below(StackMember* member) noexcept;
void remove_block_below(StackMember* member) noexcept;
void set_phase_below(ContextStack* stack, const StackMember* block, StackMember* phase,
                     uint64_t recorder, SiteTable::Id site) noexcept;
void remove_phase_below(ContextStack* stack, const StackMember* phase) noexcept;

inline SiteTable::Id innermost(ContextStack* stack, uint64_t recorder) noexcept {
  if (stack->entries.empty()) {
    return SiteTable::kRoot;
  }
  const StackEntry& last = stack->entries.back();
  return last.recorder == recorder && last.member != nullptr ? last.site
                                                             : innermost_open(stack, recorder);
}

inline bool push(ContextStack* stack, StackMember* member, uint64_t recorder,
                 SiteTable::Id site) noexcept {
  try {
    stack->entries.push_back({member, recorder, site, ++g_last_push});
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return false;
  }
  member->stack = stack;
  return true;
}

inline bool pop_if_innermost(ContextStack* stack, const StackMember* member) noexcept {
  auto& entries = stack->entries;
  if (entries.empty() || entries.back().member != member) {
    return false;
  }
  entries.pop_back();
  return true;
}

inline void remove(StackMember* member) noexcept {
  if (!pop_if_innermost(member->stack, member)) {
    remove_below(member);
  }
  Py_DECREF(member->stack);
}

inline void remove_block(StackMember* member) noexcept {
  if (!pop_if_innermost(member->stack, member)) {
    remove_block_below(member);
  }
  Py_DECREF(member->stack);
}

inline void set_phase(ContextStack* stack, const StackMember* block, StackMember* phase,
                      uint64_t recorder, SiteTable::Id site) noexcept {
  if (stack->entries.empty() || stack->entries.back().member != phase) {
    set_phase_below(stack, block, phase, recorder, site);
    return;
  }
  StackEntry& entry = stack->entries.back();
  entry.site = site;
  entry.number = ++g_last_push;  // new: an entry inherited from the previous phase is closed now
}

inline void remove_phase(ContextStack* stack, const StackMember* phase) noexcept {
  if (!pop_if_innermost(stack, phase)) {
    remove_phase_below(stack, phase);
  }
}

}  // namespace fasttime
