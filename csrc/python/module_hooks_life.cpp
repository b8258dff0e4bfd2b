// SPDX-License-Identifier: BSD-3-Clause
// The life of module hooks: making, closing and freeing them.
#include <new>

#include "python/autograd_access.h"
#include "python/module_hooks_type.h"

namespace fasttime {
namespace {

ModuleHooks* of(PyObject* object) noexcept { return reinterpret_cast<ModuleHooks*>(object); }

}  // namespace

PyObject* new_module_hooks(PyObject* owner, Recorder& recorder) {
  recorder.count_for_handle();
  auto* hooks = PyObject_GC_New(ModuleHooks, reinterpret_cast<PyTypeObject*>(module_hooks_type()));
  if (hooks == nullptr) {
    return nullptr;
  }
  new (&hooks->modules) std::vector<ModuleHooks::Module>();
  new (&hooks->index) std::unordered_map<PyObject*, uint32_t>();
  new (&hooks->threads) std::vector<std::unique_ptr<ThreadState>>();
  new (&hooks->tasks) std::vector<int64_t>();
  new (&hooks->steps) StepParts();
  hooks->tasks.reserve(16);
  Py_INCREF(owner);
  hooks->weak_references = nullptr;
  hooks->owner = owner;
  hooks->recorder = &recorder;
  hooks->free_instances = nullptr;
  hooks->births = hooks->uses = hooks->refused = 0;
  hooks->times_modules = hooks->times_backward = hooks->is_closed = false;
  hooks->unknown_module = hooks->step_ended = nullptr;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(hooks));
  return reinterpret_cast<PyObject*>(hooks);
}

PyObject* close_hooks(PyObject* object, PyObject*) {
  ModuleHooks* hooks = of(object);
  hooks->is_closed = true;
  for (auto& thread : hooks->threads) {
    if (!thread->is_busy) {  // a busy thread does so itself, in leave_thread()
      close_thread(hooks, thread.get());
    }
  }
  drop_step(hooks);
  hooks->steps.is_on = false;
  hooks->index.clear();
  Py_CLEAR(hooks->unknown_module);
  Py_CLEAR(hooks->step_ended);
  release_last_hook();
  Py_RETURN_NONE;
}

int traverse_hooks(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(of(object)->owner);
  Py_VISIT(of(object)->unknown_module);
  Py_VISIT(of(object)->step_ended);
  return 0;
}

int clear_hooks(PyObject* object) {
  Py_CLEAR(of(object)->unknown_module);
  Py_CLEAR(of(object)->step_ended);
  return 0;
}

void free_hooks(PyObject* object) {
  ModuleHooks* hooks = of(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (hooks->weak_references != nullptr) {
    PyObject_ClearWeakRefs(object);
  }
  Py_XDECREF(close_hooks(object, nullptr));
  hooks->threads.~vector();
  hooks->modules.~vector();
  hooks->tasks.~vector();
  hooks->index.~unordered_map();
  while (Instance* instance = hooks->free_instances) {
    hooks->free_instances = instance->parent;
    delete instance;
  }
  Py_DECREF(hooks->owner);
  PyObject_GC_Del(object);
  Py_DECREF(type);
}

}  // namespace fasttime
