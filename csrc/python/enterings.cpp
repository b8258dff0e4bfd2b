// SPDX-License-Identifier: BSD-3-Clause
#include "python/enterings.h"

#include "python/marks.h"

namespace fasttime {
namespace {

// One that is not inline in its scope object.
struct SeparateEntering : Entering {
  PyObject* mark;  // owned; null: none
};

}  // namespace

Entering* new_separate_entering() {
  auto* entering = static_cast<SeparateEntering*>(PyMem_Malloc(sizeof(SeparateEntering)));
  if (entering == nullptr) {
    PyErr_NoMemory();
  } else {
    entering->mark = nullptr;
  }
  return entering;
}

void set_mark(Entering* separate, PyObject* mark) noexcept {
  static_cast<SeparateEntering*>(separate)->mark = mark;
}

bool free_separate_entering(Entering* entering) {
  PyObject* mark = static_cast<SeparateEntering*>(entering)->mark;
  PyMem_Free(entering);
  return mark == nullptr || end_mark(mark);
}

// It belongs to no process: to end it does nothing.
bool enter_off_beside_others(Enterings& all, const Recorder& recorder) {
  ContextStack* stack = current_stack(recorder.process());
  Entering* entering = stack == nullptr ? nullptr : new_separate_entering();
  if (entering == nullptr) {
    Py_XDECREF(stack);
    return false;
  }
  entering->open = OpenScope{};
  entering->stack = stack;
  add_entering(all, entering);
  return true;
}

bool leave_counted(Enterings& all) noexcept {
  if (all.entered_while_off == 0) {
    return false;
  }
  --all.entered_while_off;
  return true;
}

// Where it hangs in the list. To ask for the context may run a finaliser, which may end any.
Entering** find_entering(Enterings& all, const Recorder& recorder) {
  ContextStack* stack = current_stack(recorder.process());
  if (stack == nullptr) {
    PyErr_Clear();
  }
  Entering** link = &all.last;
  while (*link != nullptr && (*link)->stack != stack) {
    link = &(*link)->previous;
  }
  Py_XDECREF(stack);
  return *link == nullptr && all.entered_while_off == 0 ? &all.last : link;
}

}  // namespace fasttime
