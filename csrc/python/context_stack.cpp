// SPDX-License-Identifier: BSD-3-Clause
#include "python/context_stack.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "host/process_number.h"

namespace fasttime {
namespace {

struct Entry {
  const void* scope;  // null: inherited from the context that this one was copied from
  uint64_t recorder;
  SiteTable::Id site;
  uint32_t number;  // which push it was, here and where it is inherited
};

// Which context a stack is of. Outlives both, for those that were made under it to tell.
struct Home {
  PyObject* context = nullptr;  // a weak reference, as another would be a cycle; owned
  ContextStack* stack;          // null once it is gone
  size_t inherited;             // so many of its entries, the outermost

  Home(ContextStack* of, size_t count) noexcept : stack(of), inherited(count) {}
  ~Home() { Py_XDECREF(context); }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
};
using Homes = std::vector<std::shared_ptr<Home>>;

PyTypeObject* g_type = nullptr;
PyObject* g_variable = nullptr;
uint32_t g_last_number = 0;

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
      // Entries made before a fork mean nothing after it.
      uint32_t process;
  std::vector<Entry> entries;
  std::shared_ptr<Home> home;
  Homes ancestors;  // the homes of those that it was made under, outermost first
};

namespace {

// Which context it is, to be compared; null where that is gone.
const PyObject* context_of(const Home& home) noexcept {
  if (home.context == nullptr) {
    return nullptr;
  }
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* context = nullptr;
  PyWeakref_GetRef(home.context, &context);
  Py_XDECREF(context);
  return context;
#else
  const PyObject* context = PyWeakref_GET_OBJECT(home.context);
  return context == Py_None ? nullptr : context;
#endif
}

bool is_current(const Home& home) noexcept {
  const PyObject* context = context_of(home);
  return context != nullptr && context == PyThreadState_Get()->context;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  auto* stack = reinterpret_cast<ContextStack*>(self);
  if (stack->home != nullptr) {
    stack->home->stack = nullptr;
  }
  stack->ancestors.~vector();
  stack->home.~shared_ptr();
  stack->entries.~vector();
  PyObject_Free(self);
  Py_DECREF(type);
}

PyType_Slot g_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)}, {0, nullptr}};
PyType_Spec g_spec = {"fasttime._C.ContextStack", sizeof(ContextStack), 0, Py_TPFLAGS_DEFAULT,
                      g_slots};

bool set_variable(ContextStack* stack) {
  // Up to Python 3.11 a collection may run in there, and a finaliser that opens a scope sets the
  // variable as well, which frees what is being copied.
  const int collects = PyGC_Disable();
  PyObject* token = PyContextVar_Set(g_variable, reinterpret_cast<PyObject*>(stack));
  if (collects != 0) {
    PyGC_Enable();
  }
  Py_XDECREF(token);
  return token != nullptr;
}

// Whether an entry is still there: an inherited one, where it was pushed.
bool is_open(const ContextStack* stack, const Entry& entry) noexcept {
  const auto is_it = [&](const Entry& other) {
    return other.scope != nullptr && other.number == entry.number && other.site == entry.site;
  };
  const auto has_it = [&](const std::shared_ptr<Home>& home) {
    return home->stack != nullptr &&
           std::any_of(home->stack->entries.begin(), home->stack->entries.end(), is_it);
  };
  return entry.scope != nullptr ||
         std::any_of(stack->ancestors.begin(), stack->ancestors.end(), has_it);
}

// A stack for the current context, under what of the first `count` entries of `above` is open, if
// that is given.
ContextStack* make_stack(const ContextStack* above, size_t count, Homes ancestors) {
  auto* stack = PyObject_New(ContextStack, g_type);
  if (stack == nullptr) {
    return nullptr;
  }
  new (&stack->entries) std::vector<Entry>();
  new (&stack->home) std::shared_ptr<Home>();
  new (&stack->ancestors) Homes(std::move(ancestors));
  stack->process = process_number();
  try {
    stack->entries.reserve(count + 16);
    for (size_t i = 0; i < count; ++i) {
      const Entry& entry = above->entries[i];
      if (is_open(above, entry)) {
        stack->entries.push_back({nullptr, entry.recorder, entry.site, entry.number});
      }
    }
    stack->home = std::make_shared<Home>(stack, stack->entries.size());
  } catch (const std::bad_alloc&) {
    Py_DECREF(stack);
    PyErr_NoMemory();
    return nullptr;
  }
  // Set first: setting a variable is what gives a fresh thread its context.
  if (set_variable(stack)) {
    stack->home->context = PyWeakref_NewRef(PyThreadState_Get()->context, nullptr);
  }
  if (stack->home->context == nullptr) {
    Py_DECREF(stack);
    return nullptr;
  }
  return stack;
}

// The stack of the current context, which has that of another one: as it was copied from it; or as
// it was given back what was set in a copy of itself, which asgiref does after each call in a
// thread. Then its own is among those that the other one was made under.
ContextStack* own_stack(const ContextStack* other) {
  try {
    Homes ancestors;
    for (const auto& home : other->ancestors) {
      if (is_current(*home)) {
        // Without an open scope nobody but the context held it, and it is gone.
        ContextStack* own = home->stack;
        if (own == nullptr) {
          // The other one has dropped of these what has ended meanwhile.
          const size_t count = std::min(home->inherited, other->home->inherited);
          return make_stack(other, count, std::move(ancestors));
        }
        Py_INCREF(own);
        if (!set_variable(own)) {
          Py_CLEAR(own);
        }
        return own;
      }
      // Only the living, or a task that starts its like would lengthen this for ever. An open scope
      // outlives its context in its stack.
      if (context_of(*home) != nullptr || home->stack != nullptr) {
        ancestors.push_back(home);
      }
    }
    ancestors.push_back(other->home);
    return make_stack(other, other->entries.size(), std::move(ancestors));
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return nullptr;
  }
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
  if (stack == nullptr || stack->process != process || !is_current(*stack->home)) {
    const bool is_known = stack != nullptr && stack->process == process;
    ContextStack* own = is_known ? own_stack(stack) : make_stack(nullptr, 0, {});
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

namespace {

// The same where the innermost entry of the recorder may be inherited. What has ended meanwhile is
// nobody's parent any more.
[[gnu::noinline]] SiteTable::Id innermost_open(ContextStack* stack, uint64_t recorder) noexcept {
  for (size_t i = stack->entries.size(); i-- > 0;) {
    const Entry& entry = stack->entries[i];
    if (entry.recorder == recorder) {
      if (is_open(stack, entry)) {
        return entry.site;
      }
      stack->entries.erase(stack->entries.begin() + static_cast<std::ptrdiff_t>(i));
      --stack->home->inherited;
    }
  }
  return SiteTable::kRoot;
}

}  // namespace

[[gnu::hot]] SiteTable::Id innermost(ContextStack* stack, uint64_t recorder) noexcept {
  const auto& entries = stack->entries;
  if (entries.empty()) {
    return SiteTable::kRoot;
  }
  const Entry& last = entries.back();
  return last.recorder == recorder && last.scope != nullptr ? last.site
                                                            : innermost_open(stack, recorder);
}

[[gnu::hot]] bool push(ContextStack* stack, const void* scope, uint64_t recorder,
                       SiteTable::Id site) noexcept {
  try {
    stack->entries.push_back({scope, recorder, site, ++g_last_number});
    return true;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return false;
  }
}

namespace {

// Where the entry is; the end where it was taken off before.
std::vector<Entry>::iterator find_entry(ContextStack* stack, const void* scope) noexcept {
  auto& entries = stack->entries;
  const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                  [&](const Entry& entry) { return entry.scope == scope; });
  return found == entries.rend() ? entries.end() : std::next(found).base();
}

bool pop_innermost(ContextStack* stack, const void* scope) noexcept {
  auto& entries = stack->entries;
  if (entries.empty() || entries.back().scope != scope) {
    return false;
  }
  entries.pop_back();
  return true;
}

[[gnu::noinline]] void remove_below(ContextStack* stack, const void* scope) noexcept {
  const auto found = find_entry(stack, scope);
  if (found != stack->entries.end()) {
    stack->entries.erase(found);
  }
}

[[gnu::noinline]] void remove_block_below(ContextStack* stack, const void* scope) noexcept {
  if (is_current(*stack->home)) {
    stack->entries.erase(find_entry(stack, scope), stack->entries.end());
  } else {
    remove_below(stack, scope);
  }
}

}  // namespace

[[gnu::hot]] void remove(ContextStack* stack, const void* scope) noexcept {
  if (!pop_innermost(stack, scope)) {
    remove_below(stack, scope);
  }
}

[[gnu::hot]] void remove_block(ContextStack* stack, const void* scope) noexcept {
  if (!pop_innermost(stack, scope)) {
    remove_block_below(stack, scope);
  }
}

}  // namespace fasttime
