// SPDX-License-Identifier: BSD-3-Clause
#include "context_stack.h"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "process.h"

namespace fasttime {
namespace {

struct Entry {
  const void* scope;  // null: inherited from the context that this one was copied from
  uint64_t recorder;
  SiteTable::Id site;
};

PyTypeObject* g_type = nullptr;
PyObject* g_variable = nullptr;

// The stack that was asked for last, and when: a thread's number is never used again, and its
// version of the context moves on each time it enters or leaves one. It says so in a glance where
// the variable takes four looks.
struct {
  uint64_t thread = 0;
  uint64_t version = 0;
  ContextStack* stack = nullptr;  // owned
} g_last;

}  // namespace

struct ContextStack {
  PyObject_HEAD
      // Which context this is the stack of: an identity, not a reference, which would be a cycle.
      const void* context;
  uint32_t process;  // entries made before a fork mean nothing after it
  std::vector<Entry> entries;
};

namespace {

PyObject* current_context() noexcept { return PyThreadState_Get()->context; }

bool is_of_current_context(const ContextStack* stack) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* context = nullptr;
  PyWeakref_GetRef(stack->context, &context);
  Py_XDECREF(context);
#else
  const PyObject* context = PyWeakref_GET_OBJECT(stack->context);
#endif
  return context == current_context();
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  auto* stack = reinterpret_cast<ContextStack*>(self);
  stack->entries.~vector();
  Py_XDECREF(stack->context);
  PyObject_Free(self);
  Py_DECREF(type);
}

PyType_Slot g_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)}, {0, nullptr}};
PyType_Spec g_spec = {"fasttime._C.ContextStack", sizeof(ContextStack), 0, Py_TPFLAGS_DEFAULT,
                      g_slots};

// A stack for the current context, under what is open in `inherited`, if that is given.
ContextStack* make_stack(const ContextStack* inherited) {
  auto* stack = PyObject_New(ContextStack, g_type);
  if (stack == nullptr) {
    return nullptr;
  }
  new (&stack->entries) std::vector<Entry>();
  stack->context = nullptr;
  stack->process = process_number();
  try {
    if (inherited != nullptr && inherited->process == stack->process) {
      stack->entries = inherited->entries;
      for (Entry& entry : stack->entries) {
        entry.scope = nullptr;
      }
    }
    stack->entries.reserve(stack->entries.size() + 16);
  } catch (const std::bad_alloc&) {
    Py_DECREF(stack);
    PyErr_NoMemory();
    return nullptr;
  }
  PyObject* token = PyContextVar_Set(g_variable, reinterpret_cast<PyObject*>(stack));
  if (token == nullptr) {
    Py_DECREF(stack);
    return nullptr;
  }
  Py_DECREF(token);
  // Only now: setting a variable is what gives a fresh thread its context.
  stack->context = PyWeakref_NewRef(current_context(), nullptr);
  if (stack->context == nullptr) {
    Py_DECREF(stack);
    return nullptr;
  }
  return stack;
}

}  // namespace

bool init_context_stack() {
  g_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_spec));
  g_variable = PyContextVar_New("fasttime.open_scopes", nullptr);
  return g_type != nullptr && g_variable != nullptr;
}

namespace {

[[gnu::noinline]] ContextStack* find_stack(uint32_t process) {
  PyObject* found = nullptr;
  if (PyContextVar_Get(g_variable, nullptr, &found) < 0) {
    return nullptr;
  }
  // A context can be listed, and its variables set by anybody.
  auto* stack = found != nullptr && Py_TYPE(found) == g_type
                    ? reinterpret_cast<ContextStack*>(found)
                    : nullptr;
  if (stack == nullptr || stack->context == nullptr || !is_of_current_context(stack) ||
      stack->process != process) {
    ContextStack* own = make_stack(stack);
    Py_XDECREF(found);
    if (own == nullptr) {
      return nullptr;
    }
    stack = own;
  }
  const PyThreadState* thread = PyThreadState_Get();
  g_last.thread = thread->id;
  g_last.version = thread->context_ver;
  Py_INCREF(stack);
  // Last, as what was there may die of it, and anything may run then.
  ContextStack* before = std::exchange(g_last.stack, stack);
  Py_XDECREF(before);
  return stack;
}

}  // namespace

[[gnu::hot]] ContextStack* stack_at_hand(uint32_t process) noexcept {
  const PyThreadState* thread = PyThreadState_Get();
  ContextStack* stack = g_last.stack;
  if (stack != nullptr && g_last.thread == thread->id && g_last.version == thread->context_ver &&
      stack->process == process) {
    Py_INCREF(stack);
    return stack;
  }
  return nullptr;
}

ContextStack* current_stack(uint32_t process) {
  ContextStack* stack = stack_at_hand(process);
  return stack != nullptr ? stack : find_stack(process);
}

[[gnu::hot]] SiteTable::Id innermost(const ContextStack* stack, uint64_t recorder) noexcept {
  for (auto entry = stack->entries.rbegin(); entry != stack->entries.rend(); ++entry) {
    if (entry->recorder == recorder) {
      return entry->site;
    }
  }
  return SiteTable::kRoot;
}

[[gnu::hot]] bool push(ContextStack* stack, const void* scope, uint64_t recorder,
                       SiteTable::Id site) noexcept {
  try {
    stack->entries.push_back({scope, recorder, site});
    return true;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return false;
  }
}

namespace {

// Out of order, or taken off before.
[[gnu::noinline]] void remove_below(ContextStack* stack, const void* scope) noexcept {
  auto& entries = stack->entries;
  const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                  [&](const Entry& entry) { return entry.scope == scope; });
  if (found != entries.rend()) {
    entries.erase(std::next(found).base());
  }
}

}  // namespace

[[gnu::hot]] void remove(ContextStack* stack, const void* scope) noexcept {
  auto& entries = stack->entries;
  if (!entries.empty() && entries.back().scope == scope) {
    entries.pop_back();
  } else {
    remove_below(stack, scope);
  }
}

}  // namespace fasttime
