// SPDX-License-Identifier: BSD-3-Clause
#include "python/current_stack.h"

#include <algorithm>
#include <new>
#include <utility>

namespace fasttime {
namespace {

PyObject* g_variable = nullptr;

// The stack that was asked for last. Python never reuses a thread's id, and increases a thread's
// context_ver each time the thread changes its context. Comparing the two is cheaper than looking
// up the variable.
struct {
  uint64_t thread = 0;
  uint64_t context_version = 0;
  ContextStack* stack = nullptr;  // owned
} g_last;

// Keeps the garbage collector from running. Up to Python 3.11, allocations can run it, and a
// finaliser that opens a scope then changes the variable and the stacks under us.
class NoCollection {
 public:
  NoCollection() : was_enabled_(PyGC_Disable()) {}
  ~NoCollection() {
    if (was_enabled_ != 0) {
      PyGC_Enable();
    }
  }
  NoCollection(const NoCollection&) = delete;
  NoCollection& operator=(const NoCollection&) = delete;

 private:
  const int was_enabled_;
};

bool set_variable(ContextStack* stack) {
  const NoCollection hold;
  PyObject* token = PyContextVar_Set(g_variable, reinterpret_cast<PyObject*>(stack));
  Py_XDECREF(token);
  return token != nullptr;
}

// Gives the current context a new stack. Setting the variable comes first, because a new thread
// gets its context by that.
ContextStack* make_stack(const ContextStack* above, size_t count, StackOwners ancestors) {
  const NoCollection hold;
  ContextStack* stack = new_stack(above, count, std::move(ancestors));
  if (stack == nullptr) {
    return nullptr;
  }
  if (set_variable(stack)) {
    stack->owner->context = PyWeakref_NewRef(PyThreadState_Get()->context, nullptr);
  }
  if (stack->owner->context == nullptr) {
    Py_CLEAR(stack);
  }
  return stack;
}

// Makes the stack of an ancestor current again: a context was given the variables of a copy of
// itself, as asgiref does after each call in a thread.
ContextStack* return_to(const StackOwner& ancestor, const ContextStack* copy,
                        StackOwners ancestors) {
  ContextStack* stack = ancestor.stack;
  if (stack == nullptr) {
    // Only the variable and open scopes keep a stack, so nothing was open on it. The copy may have
    // removed inherited entries that ended.
    const size_t count = std::min(ancestor.inherited, copy->owner->inherited);
    return make_stack(copy, count, std::move(ancestors));
  }
  Py_INCREF(stack);
  if (!set_variable(stack)) {
    Py_CLEAR(stack);
  }
  return stack;
}

// The current context's own stack, when the variable holds the stack of another context. Usually
// the current context is a new copy of the other one, and inherits from its stack.
ContextStack* own_stack(const ContextStack* other) {
  try {
    StackOwners ancestors;
    for (const auto& owner : other->ancestors) {
      if (is_current(*owner)) {
        return return_to(*owner, other, std::move(ancestors));
      }
      // Ancestors that are gone are left out. Otherwise a task that starts the next task would
      // make this list longer forever. An open scope can keep a stack longer than its context.
      if (context_of(*owner) != nullptr || owner->stack != nullptr) {
        ancestors.push_back(owner);
      }
    }
    ancestors.push_back(other->owner);
    return make_stack(other, other->entries.size(), std::move(ancestors));
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return nullptr;
  }
}

// The stack in the variable, borrowed from `found`; null if there is none, or only one from before
// a fork. User code can list a context's variables, and set this one.
ContextStack* usable_stack(PyObject* found, uint32_t process) noexcept {
  auto* stack = reinterpret_cast<ContextStack*>(found);
  return found != nullptr && is_context_stack(found) && stack->process == process ? stack : nullptr;
}

[[gnu::noinline]] ContextStack* find_stack(uint32_t process) {
  PyObject* found = nullptr;
  if (PyContextVar_Get(g_variable, nullptr, &found) < 0) {
    return nullptr;
  }
  ContextStack* stack = usable_stack(found, process);
  if (stack == nullptr || !is_current(*stack->owner)) {
    stack = stack == nullptr ? make_stack(nullptr, 0, {}) : own_stack(stack);
    Py_XDECREF(found);
    if (stack == nullptr) {
      return nullptr;
    }
  }
  const PyThreadState* thread = PyThreadState_Get();
  g_last.thread = thread->id;
  g_last.context_version = thread->context_ver;
  Py_INCREF(stack);
  // Last: this may free the stack before, and run any code.
  ContextStack* before = std::exchange(g_last.stack, stack);
  Py_XDECREF(before);
  return stack;
}

}  // namespace

bool init_current_stack() {
  g_variable = PyContextVar_New("fasttime.open_scopes", nullptr);
  return g_variable != nullptr;
}

[[gnu::hot]] ContextStack* cached_stack(uint32_t process) noexcept {
  const PyThreadState* thread = PyThreadState_Get();
  ContextStack* stack = g_last.stack;
  if (stack != nullptr && g_last.thread == thread->id &&
      g_last.context_version == thread->context_ver && stack->process == process) {
    Py_INCREF(stack);
    return stack;
  }
  return nullptr;
}

ContextStack* current_stack(uint32_t process) {
  ContextStack* stack = cached_stack(process);
  return stack != nullptr ? stack : find_stack(process);
}

}  // namespace fasttime
