// SPDX-License-Identifier: BSD-3-Clause
#include "python/passes.h"

#include "python/current_stack.h"
#include "python/marks.h"

namespace fasttime {
namespace {

// A pass outside its Passes.
struct SeparatePass : Pass {
  PyObject* mark;  // a token for end_mark(), owned; null: no mark
};

}  // namespace

Pass* Passes::allocate_separate() noexcept { return allocate_marked(nullptr); }

Pass* Passes::allocate_marked(PyObject* mark) noexcept {
  auto* pass = static_cast<SeparatePass*>(PyMem_Malloc(sizeof(SeparatePass)));
  if (pass == nullptr) {
    PyErr_NoMemory();
    return nullptr;
  }
  pass->object = first_.object;
  pass->mark = mark;
  pass->previous = pass;
  return pass;
}

[[gnu::cold]] bool Passes::free_separate(Pass* pass) {
  PyObject* mark = static_cast<SeparatePass*>(pass)->mark;
  PyMem_Free(pass);
  return mark == nullptr || end_mark(mark);
}

// This pass needs an entry on the stack. Otherwise its exit could end another pass. The entry
// repeats the innermost scope's site, so parents stay the same.
[[gnu::cold]] bool Passes::begin_off_beside_others(uint32_t process, uint64_t recorder) {
  ContextStack* stack = current_stack(process);
  Pass* pass = stack == nullptr ? nullptr : allocate_separate();
  if (pass == nullptr || !push(stack, pass, recorder, innermost(stack, recorder))) {
    Py_XDECREF(stack);
    PyMem_Free(static_cast<SeparatePass*>(pass));
    return false;
  }
  pass->open = OpenScope{};  // begun in no process, so ending it does nothing
  add(pass);
  return true;
}

void Passes::unlink(Pass* pass) noexcept {
  if (pass == newest_) {
    newest_ = pass->previous;
  } else {
    pass->next->previous = pass->previous;
    if (pass->previous != nullptr) {
      pass->previous->next = pass->next;
    }
  }
  pass->previous = pass;
}

// The newest pass of the current context, or null. The stack finds it at once. The list has to be
// searched if scopes are open without an entry on the stack, or if another context is just about to
// end the pass that was found.
Pass* Passes::find_of_context(uint32_t process) {
  ContextStack* stack = current_stack(process);
  if (stack == nullptr) {
    PyErr_Clear();
    return nullptr;
  }
  Pass* pass = nullptr;
  if (stack->missing == 0) {
    pass = static_cast<Pass*>(find_member(stack, first_.object));
  }
  if (stack->missing != 0 || (pass != nullptr && !is_listed(pass))) {
    pass = newest_;
    while (pass != nullptr && pass->stack != stack) {
      pass = pass->previous;
    }
  }
  Py_DECREF(stack);
  return pass;
}

Pass* Passes::take_one_of_many(uint32_t process) {
  // Looking up the context may run a finaliser, which may end any pass.
  Pass* pass = find_of_context(process);
  if (pass == nullptr && begun_off_ == 0) {
    pass = newest_;
  }
  if (pass != nullptr) {
    unlink(pass);
  }
  return pass;
}

Pass* Passes::take_newest() noexcept {
  Pass* pass = newest_;
  if (pass != nullptr) {
    unlink(pass);
  }
  return pass;
}

}  // namespace fasttime
