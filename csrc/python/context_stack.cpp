// SPDX-License-Identifier: BSD-3-Clause
#include "python/context_stack.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "host/process_number.h"

namespace fasttime {
namespace {

PyTypeObject* g_stack_type = nullptr;

using Entries = std::vector<StackEntry>;

void stack_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  auto* stack = reinterpret_cast<ContextStack*>(object);
  if (stack->owner != nullptr) {
    stack->owner->stack = nullptr;
  }
  stack->ancestors.~vector();
  stack->owner.~shared_ptr();
  stack->entries.~vector();
  PyObject_Free(object);
  Py_DECREF(type);
}

// Null with MemoryError set.
ContextStack* allocate_stack() noexcept {
  auto* stack = PyObject_New(ContextStack, g_stack_type);
  if (stack != nullptr) {
    new (&stack->entries) Entries();
    new (&stack->owner) std::shared_ptr<StackOwner>();
    new (&stack->ancestors) StackOwners();
    stack->process = process_number();
    stack->missing = 0;
  }
  return stack;
}

Entries::iterator find_entry(ContextStack* stack, const StackMember* member) noexcept {
  auto& entries = stack->entries;
  const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                  [&](const StackEntry& entry) { return entry.member == member; });
  return found == entries.rend() ? entries.end() : std::next(found).base();
}

// How many scopes, phases left out, lose their entry with these.
uint32_t count_scopes(Entries::const_iterator from, Entries::const_iterator to) noexcept {
  return static_cast<uint32_t>(std::count_if(from, to, [](const StackEntry& entry) {
    return entry.member != nullptr && entry.member->object != nullptr;
  }));
}

// Whether an entry is open. An inherited entry is open while the original is on its stack.
bool is_open(const ContextStack* stack, const StackEntry& entry) noexcept {
  const auto is_original = [&](const StackEntry& other) {
    return other.member != nullptr && other.number == entry.number && other.site == entry.site;
  };
  const auto has_original = [&](const std::shared_ptr<StackOwner>& owner) {
    return owner->stack != nullptr &&
           std::any_of(owner->stack->entries.begin(), owner->stack->entries.end(), is_original);
  };
  return entry.member != nullptr ||
         std::any_of(stack->ancestors.begin(), stack->ancestors.end(), has_original);
}

// May throw std::bad_alloc.
void inherit(ContextStack* stack, const ContextStack* above, size_t count) {
  stack->entries.reserve(count + 16);
  for (size_t i = 0; i < count; ++i) {
    const StackEntry& entry = above->entries[i];
    if (is_open(above, entry)) {
      stack->entries.push_back({nullptr, entry.recorder, entry.site, entry.number});
    }
  }
}

}  // namespace

uint32_t g_last_push = 0;

bool init_context_stack() {
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&stack_dealloc)},
                                {0, nullptr}};
  static PyType_Spec spec = {"fasttime._C.ContextStack", sizeof(ContextStack), 0,
                             Py_TPFLAGS_DEFAULT, slots};
  g_stack_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return g_stack_type != nullptr;
}

bool is_context_stack(PyObject* object) noexcept { return Py_TYPE(object) == g_stack_type; }

ContextStack* new_stack(const ContextStack* above, size_t count, StackOwners ancestors) {
  ContextStack* stack = allocate_stack();
  if (stack == nullptr) {
    return nullptr;
  }
  stack->ancestors = std::move(ancestors);
  try {
    inherit(stack, above, count);
    stack->owner = std::make_shared<StackOwner>(stack, stack->entries.size());
  } catch (const std::bad_alloc&) {
    Py_DECREF(stack);
    PyErr_NoMemory();
    return nullptr;
  }
  return stack;
}

const PyObject* context_of(const StackOwner& owner) noexcept {
  if (owner.context == nullptr) {
    return nullptr;
  }
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* context = nullptr;
  PyWeakref_GetRef(owner.context, &context);
  Py_XDECREF(context);
  return context;
#else
  const PyObject* context = PyWeakref_GET_OBJECT(owner.context);
  return context == Py_None ? nullptr : context;
#endif
}

bool is_current(const StackOwner& owner) noexcept {
  const PyObject* context = context_of(owner);
  return context != nullptr && context == PyThreadState_Get()->context;
}

// innermost() when the innermost entry is inherited, or belongs to another recorder. Removes
// inherited entries that are not open any more.
[[gnu::noinline]] SiteTable::Id innermost_open(ContextStack* stack, uint64_t recorder) noexcept {
  auto& entries = stack->entries;
  for (size_t i = entries.size(); i-- > 0;) {
    if (entries[i].recorder == recorder) {
      if (is_open(stack, entries[i])) {
        return entries[i].site;
      }
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i));
      --stack->owner->inherited;
    }
  }
  return SiteTable::kRoot;
}

// remove() when the member's entry is not the innermost, or is missing.
[[gnu::noinline]] void remove_below(StackMember* member) noexcept {
  ContextStack* stack = member->stack;
  const auto found = find_entry(stack, member);
  if (found != stack->entries.end()) {
    stack->entries.erase(found);
  } else {
    --stack->missing;
  }
}

[[gnu::noinline]] void remove_block_below(StackMember* member) noexcept {
  ContextStack* stack = member->stack;
  auto& entries = stack->entries;
  const auto found = find_entry(stack, member);
  if (found != entries.end() && stack->owner != nullptr && is_current(*stack->owner)) {
    stack->missing += count_scopes(found + 1, entries.end());
    entries.erase(found, entries.end());
  } else {
    remove_below(member);
  }
}

StackMember* find_member(const ContextStack* stack, const void* object) noexcept {
  const auto& entries = stack->entries;
  const auto found = std::find_if(entries.rbegin(), entries.rend(), [&](const StackEntry& entry) {
    return entry.member != nullptr && entry.member->object == object;
  });
  return found == entries.rend() ? nullptr : found->member;
}

// set_phase() when the phase's entry is not the innermost, or does not exist.
void set_phase_below(ContextStack* stack, const StackMember* block, StackMember* phase,
                     uint64_t recorder, SiteTable::Id site) noexcept {
  auto& entries = stack->entries;
  const StackEntry entry{phase, recorder, site, ++g_last_push};
  auto above = find_entry(stack, block);
  if (above == entries.end()) {
    return;
  }
  if (++above != entries.end() && above->member == phase) {
    *above = entry;
    return;
  }
  try {
    entries.insert(above, entry);
  } catch (const std::bad_alloc&) {
  }
}

void remove_phase_below(ContextStack* stack, const StackMember* phase) noexcept {
  const auto found = find_entry(stack, phase);
  if (found != stack->entries.end()) {
    stack->entries.erase(found);
  }
}

namespace {

// Moves the entries from `first` on to another stack, with new numbers, as after a push. False with
// MemoryError set, and then moves nothing.
bool move_entries(ContextStack* from, size_t first, ContextStack* to) noexcept {
  try {
    to->entries.reserve(to->entries.size() + from->entries.size() - first);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return false;
  }
  for (size_t i = first; i < from->entries.size(); ++i) {
    StackEntry entry = from->entries[i];
    entry.number = ++g_last_push;
    to->entries.push_back(entry);
    if (entry.member->object != nullptr) {  // a phase has no reference
      Py_INCREF(to);
      Py_SETREF(entry.member->stack, to);
    }
  }
  from->entries.resize(first);
  return true;
}

}  // namespace

// A generator without open scopes of its own just loses its entry. Otherwise its entries move to a
// stack without an owner, where remove() still finds them.
void suspend(StackMember* member) noexcept {
  ContextStack* stack = member->stack;
  auto& entries = stack->entries;
  const auto own = find_entry(stack, member);
  if (own == entries.end()) {
    return;
  }
  if (own + 1 != entries.end()) {
    ContextStack* parked = allocate_stack();
    const bool is_moved = parked != nullptr &&
                          move_entries(stack, static_cast<size_t>(own - entries.begin()), parked);
    Py_XDECREF(parked);
    if (is_moved) {
      return;
    }
    PyErr_Clear();  // without memory, the generator's scopes are not parents any more
  }
  stack->missing += count_scopes(own, entries.end());
  entries.erase(own, entries.end());
}

bool resume(StackMember* member, ContextStack* stack, uint64_t recorder, SiteTable::Id site) {
  ContextStack* before = member->stack;
  if (before->owner == nullptr) {
    Py_INCREF(before);
    const bool is_moved = move_entries(before, 0, stack);
    Py_DECREF(before);
    return is_moved;
  }
  if (!push(stack, member, recorder, site)) {
    return false;
  }
  Py_INCREF(stack);
  --before->missing;
  Py_DECREF(before);
  return true;
}

}  // namespace fasttime
