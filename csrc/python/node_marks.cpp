// SPDX-License-Identifier: BSD-3-Clause
// Marks: what autograd calls before a node, after it made a node, and at the end of a backward
// pass.
#include <Python.h>
#include <structmember.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "python/autograd_access.h"
#include "python/module_hooks.h"
#include "python/module_hooks_type.h"

namespace fasttime {
namespace {

enum class Role : uint8_t {
  kNode,      // before a node runs
  kCreation,  // after a node was made
  kEnd,       // the backward pass has run its last node
  kDone,      // what others do at the end of a backward pass is done, such as waiting for gradients
};

// One callable for each role.
struct Mark {
  PyObject_HEAD;
  vectorcallfunc call;
  ModuleHooks* hooks;  // owned
  Instance* instance;  // of a node; owned, or null
  int64_t task;        // of an end
  bool is_inside_another;
  Role role;
};

PyTypeObject* g_mark_type = nullptr;

// A mark that can be used again, because most steps need as many as the step before.
constexpr size_t kMaxFree = 4096;
std::vector<Mark*>& g_free = *new std::vector<Mark*>;

PyObject* call_mark(PyObject* object, PyObject* const* arguments, size_t flagged_count, PyObject*);

// Takes the reference to the instance. Null, with no exception set, without memory.
PyObject* new_mark(ModuleHooks* hooks, Role role, Instance* instance, int64_t task) {
  Mark* mark = nullptr;
  if (g_free.empty()) {
    mark = PyObject_New(Mark, g_mark_type);
  } else {
    mark = g_free.back();
    g_free.pop_back();
    PyObject_Init(reinterpret_cast<PyObject*>(mark), g_mark_type);
  }
  if (mark == nullptr) {
    PyErr_Clear();
    drop_instance(hooks, instance);
    return nullptr;
  }
  Py_INCREF(reinterpret_cast<PyObject*>(hooks));
  mark->call = &call_mark;
  mark->hooks = hooks;
  mark->instance = instance;
  mark->task = task;
  mark->role = role;
  return reinterpret_cast<PyObject*>(mark);
}

void mark_dealloc(PyObject* object) {
  auto* mark = reinterpret_cast<Mark*>(object);
  PyTypeObject* type = Py_TYPE(object);
  drop_instance(mark->hooks, mark->instance);
  Py_DECREF(reinterpret_cast<PyObject*>(mark->hooks));
  if (g_free.size() < kMaxFree && g_free.size() < g_free.capacity()) {
    g_free.push_back(mark);
  } else {
    PyObject_Free(object);
  }
  Py_DECREF(type);
}

bool queue(ModuleHooks* hooks, Role role, int64_t task, bool is_inside_another) {
  PyObject* mark = new_mark(hooks, role, nullptr, task);
  if (mark != nullptr) {
    reinterpret_cast<Mark*>(mark)->is_inside_another = is_inside_another;
  }
  PyObject* done = mark == nullptr ? nullptr : PyObject_CallOneArg(autograd.queue_callback, mark);
  Py_XDECREF(mark);
  Py_XDECREF(done);
  PyErr_Clear();
  return done != nullptr;
}

[[gnu::hot]] PyObject* call_mark(PyObject* object, PyObject* const* arguments, size_t flagged_count,
                                 PyObject*) {
  auto* mark = reinterpret_cast<Mark*>(object);
  switch (mark->role) {
    case Role::kNode:
      backward_reached(mark->hooks, mark->instance);
      break;
    case Role::kCreation:
      if (PyVectorcall_NARGS(flagged_count) == 1) {
        keep_node(mark->hooks, arguments[0]);
      }
      break;
    case Role::kEnd:
      end_task(mark->hooks, mark->task, mark->is_inside_another);
      break;
    case Role::kDone:
      finish_backward(mark->hooks);
      return finish_hook(mark->hooks);
  }
  Py_RETURN_NONE;
}

void mark_node(ModuleHooks* hooks, PyObject* node, Instance* instance) {
  PyObject* mark = new_mark(hooks, Role::kNode, instance, 0);
  if (mark != nullptr) {
    register_prehook(node, mark);
    Py_DECREF(mark);
  }
}

// Finds the nodes behind the tensors of an argument or a result, however they are packed.
class Nodes {
 public:
  static constexpr size_t kMax = 8;

  // Leaves out nodes with a number below `since`, except in a gap of the frame, and the node
  // `known`.
  Nodes(PyObject* tensors, int64_t since, const Frame* frame, const PyObject* known)
      : since_(since), frame_(frame), known_(known) {
    look(tensors, 0);
  }
  ~Nodes() {
    for (size_t i = 0; i < count_; ++i) {
      Py_DECREF(found_[i]);
    }
  }
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  PyObject* const* begin() const noexcept { return found_.data(); }
  PyObject* const* end() const noexcept { return found_.data() + count_; }

 private:
  static constexpr int kMaxNesting = 4;
  static constexpr Py_ssize_t kMaxItems = 64;

  // An attribute of a tensor subclass may run code that takes the object out of its container.
  void look_in(PyObject* object, int nesting) {
    Py_INCREF(object);
    look(object, nesting);
    Py_DECREF(object);
  }

  void look(PyObject* object, int nesting) {
    if (is_tensor(object)) {
      look_at_tensor(object);
    } else if (nesting == kMaxNesting) {
      return;
    } else if (PyTuple_Check(object)) {
      for (Py_ssize_t i = 0; i < std::min(PyTuple_GET_SIZE(object), kMaxItems); ++i) {
        look_in(PyTuple_GET_ITEM(object, i), nesting + 1);
      }
    } else if (PyList_Check(object)) {
      for (Py_ssize_t i = 0; i < std::min(PyList_GET_SIZE(object), kMaxItems); ++i) {
        look_in(PyList_GET_ITEM(object, i), nesting + 1);
      }
    } else if (PyDict_Check(object)) {
      PyObject* value = nullptr;
      for (Py_ssize_t at = 0, i = 0;
           i < kMaxItems && PyDict_Next(object, &at, nullptr, &value) != 0; ++i) {
        look_in(value, nesting + 1);
      }
    }
  }

  void look_at_tensor(PyObject* tensor) {
    PyObject* node = count_ == kMax ? nullptr : node_of(tensor);
    if (node == nullptr) {
      return;
    }
    if (node == known_ || std::find(begin(), end(), node) != end() ||
        !is_own(sequence_number_of(node))) {
      Py_DECREF(node);
    } else {
      found_[count_++] = node;
    }
  }

  bool is_own(int64_t number) const noexcept {
    if (number >= since_ || frame_ == nullptr) {
      return number >= since_;
    }
    const size_t count = std::min(size_t{frame_->gap_count}, frame_->gaps.size());
    return std::any_of(frame_->gaps.begin(),
                       frame_->gaps.begin() + static_cast<std::ptrdiff_t>(count),
                       [&](const auto& gap) { return number >= gap.first && number < gap.second; });
  }

  int64_t since_;
  const Frame* frame_;
  const PyObject* known_;
  size_t count_ = 0;
  std::array<PyObject*, kMax> found_{};
};

PyMemberDef g_mark_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Mark, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot g_mark_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&mark_dealloc)},
                              {Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                              {Py_tp_members, g_mark_members},
                              {0, nullptr}};
PyType_Spec g_mark_spec = {
    "fasttime._C.BackwardMark", sizeof(Mark), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
    g_mark_slots};

}  // namespace

bool queue_end(ModuleHooks* hooks, int64_t task, bool is_inside_another) {
  return queue(hooks, Role::kEnd, task, is_inside_another);
}

bool queue_done(ModuleHooks* hooks) { return queue(hooks, Role::kDone, 0, false); }

bool init_backward_marks() {
  g_free.reserve(kMaxFree);
  g_mark_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_mark_spec));
  return g_mark_type != nullptr;
}

PyObject* new_creation_hook(ModuleHooks* hooks) {
  return new_mark(hooks, Role::kCreation, nullptr, 0);
}

void mark_nodes(ModuleHooks* hooks, ThreadState* thread, PyObject* tensors) {
  const size_t frame = thread->frame_count - 1;
  PyObject* last = thread->new_node;
  thread->new_node = nullptr;
  if (last != nullptr) {
    if (Instance* instance = instance_of(hooks, thread, frame)) {
      mark_node(hooks, last, instance);
    }
  }
  // Also with a last node: the backward pass may not need it.
  for (PyObject* node : Nodes(tensors, thread->sequence, &thread->frames[frame], last)) {
    if (Instance* instance = instance_of(hooks, thread, frame)) {
      mark_node(hooks, node, instance);
    }
  }
  Py_XDECREF(last);
}

void keep_node(ModuleHooks* hooks, PyObject* node) {
  static PyTypeObject* leaf_type = nullptr;
  PyTypeObject* const type = Py_TYPE(node);
  if (type == leaf_type) {
    return;
  }
  if (leaf_type == nullptr && std::strstr(type->tp_name, "AccumulateGrad") != nullptr) {
    leaf_type = type;  // nodes of parameters, which run at once
    return;
  }
  ThreadState* thread = find_thread(hooks);
  if (thread == nullptr || thread->frame_count == 0 ||
      hooks->modules[thread->frames[thread->frame_count - 1].module].is_opaque) {
    return;
  }
  Py_INCREF(node);
  Py_XSETREF(thread->new_node, node);
}

void mark_backward_only(ModuleHooks* hooks, PyObject* tensors, int64_t since) {
  for (PyObject* node : Nodes(tensors, since, nullptr, nullptr)) {
    mark_node(hooks, node, nullptr);
  }
}

}  // namespace fasttime
