// SPDX-License-Identifier: BSD-3-Clause
#include "python/autograd_access.h"

#include <initializer_list>
#include <utility>

#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace fasttime {

AutogradObjects autograd;

namespace {

int64_t (*g_sequence_number)() = nullptr;  // at::sequence_number::peek(); uint64_t there
int (*g_task_number)() = nullptr;          // torch::autograd::get_current_graph_task_id()
bool (*g_is_inference)() = nullptr;        // c10::InferenceMode::is_enabled()

PyObject* g_version = nullptr;
PyObject* g_grad_fn = nullptr;
PyObject* g_number = nullptr;
PyObject* g_prehook = nullptr;
PyObject* g_hook_dict = nullptr;
PyObject* g_tensor_hooks = nullptr;
PyObject* g_key = nullptr;  // of the only hook in a dict

#if defined(__linux__)
template <typename Function>
void find(Function& function, const char* library, const char* name) {
  if (void* handle = dlopen(library, RTLD_NOLOAD | RTLD_LAZY)) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
  }
}
#endif

// The answer of a Python function; `otherwise` if it fails.
[[gnu::cold]] int64_t ask(PyObject* function, int64_t otherwise) {
  PyObject* answer = function == nullptr ? nullptr : PyObject_CallNoArgs(function);
  const int64_t number = answer == nullptr ? otherwise : PyLong_AsLongLong(answer);
  Py_XDECREF(answer);
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    return otherwise;
  }
  return number;
}

bool is_plain(PyObject* object) noexcept {
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(object));
  return type == autograd.tensor_type || type == autograd.parameter_type;
}

// An attribute of a tensor; a new reference. The descriptor of a plain tensor is at hand, because a
// look-up by name takes five times as long.
PyObject* attribute(PyObject* tensor, PyObject* descriptor, PyObject* name) {
  if (descriptor != nullptr && is_plain(tensor)) {
    if (descrgetfunc get = Py_TYPE(descriptor)->tp_descr_get) {
      return get(descriptor, tensor, reinterpret_cast<PyObject*>(Py_TYPE(tensor)));
    }
  }
  return PyObject_GetAttr(tensor, name);
}

// Registers `hook` as hooks on tensors are registered: without a Python call, and without an object
// that could remove the hook. The carrier keeps the dict until the next call.
bool register_in_dict(PyObject* node, PyObject* hook) {
  PyObject* hooks = PyDict_New();
  PyObject* done = nullptr;
  if (hooks != nullptr && PyDict_SetItem(hooks, g_key, hook) == 0 &&
      PyObject_SetAttr(autograd.hook_carrier, g_tensor_hooks, hooks) == 0) {
    done = PyObject_CallMethodOneArg(node, g_hook_dict, autograd.hook_carrier);
  }
  Py_XDECREF(hooks);
  Py_XDECREF(done);
  PyErr_Clear();
  return done != nullptr;
}

}  // namespace

bool set_autograd(PyObject* objects) {
  using Entry = std::pair<const char*, PyObject**>;
  for (const auto& [name, object] :
       {Entry{"tensor_type", &autograd.tensor_type},
        Entry{"parameter_type", &autograd.parameter_type}, Entry{"version", &autograd.version},
        Entry{"grad_fn", &autograd.grad_fn}, Entry{"hook_carrier", &autograd.hook_carrier},
        Entry{"sequence_number", &autograd.sequence_number},
        Entry{"task_number", &autograd.task_number},
        Entry{"queue_callback", &autograd.queue_callback},
        Entry{"push_creation_hook", &autograd.push_creation_hook},
        Entry{"pop_creation_hook", &autograd.pop_creation_hook}}) {
    PyObject* found = PyDict_GetItemString(objects, name);
    Py_XINCREF(found == Py_None ? nullptr : found);
    Py_XSETREF(*object, found == Py_None ? nullptr : found);
  }
#if defined(__linux__)
  find(g_sequence_number, "libtorch_cpu.so", "_ZN2at15sequence_number4peekEv");
  find(g_task_number, "libtorch_cpu.so", "_ZN5torch8autograd25get_current_graph_task_idEv");
  find(g_is_inference, "libc10.so", "_ZN3c1013InferenceMode10is_enabledEv");
#endif
  g_version = PyUnicode_InternFromString("_version");
  g_grad_fn = PyUnicode_InternFromString("grad_fn");
  g_number = PyUnicode_InternFromString("_sequence_nr");
  g_prehook = PyUnicode_InternFromString("register_prehook");
  g_hook_dict = PyUnicode_InternFromString("_register_hook_dict");
  g_tensor_hooks = PyUnicode_InternFromString("_backward_hooks");
  g_key = PyLong_FromLong(0);
  return PyErr_Occurred() == nullptr;
}

int64_t next_sequence_number() {
  return g_sequence_number != nullptr ? g_sequence_number() : ask(autograd.sequence_number, -1);
}

int64_t backward_task() {
  return g_task_number != nullptr ? g_task_number() : ask(autograd.task_number, -1);
}

// Without the function, every tensor may be one of inference mode.
bool is_inference() { return g_is_inference == nullptr || g_is_inference(); }

bool version_of(PyObject* object, int64_t& version) {
  if (!is_plain(object) || is_inference()) {
    return false;
  }
  PyObject* found = attribute(object, autograd.version, g_version);
  if (found == nullptr) {
    PyErr_Clear();  // a tensor of inference mode, used outside of it
    return false;
  }
  version = PyLong_AsLongLong(found);
  Py_DECREF(found);
  if (version == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    return false;
  }
  return true;
}

bool is_tensor(PyObject* object) {
  return autograd.tensor_type != nullptr &&
         PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(autograd.tensor_type));
}

PyObject* node_of(PyObject* tensor) {
  PyObject* node = attribute(tensor, autograd.grad_fn, g_grad_fn);
  if (node == nullptr) {
    // Ctrl-C in the code of a tensor subclass is meant for the program, which gets it after the
    // hook.
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) {
      PyErr_SetInterrupt();
    }
    PyErr_Clear();
  } else if (node == Py_None) {
    Py_CLEAR(node);
  }
  return node;
}

int64_t sequence_number_of(PyObject* node) {
  PyObject* found = PyObject_CallMethodNoArgs(node, g_number);
  // Nodes without a number, such as AccumulateGrad, have the greatest unsigned one.
  const int64_t number =
      found == nullptr ? -1 : static_cast<int64_t>(PyLong_AsUnsignedLongLongMask(found));
  Py_XDECREF(found);
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    return -1;
  }
  return number;
}

bool register_prehook(PyObject* node, PyObject* hook) {
  if (autograd.hook_carrier != nullptr && register_in_dict(node, hook)) {
    return true;
  }
  PyObject* handle = PyObject_CallMethodOneArg(node, g_prehook, hook);
  if (handle == nullptr) {
    PyErr_Clear();  // the node is one of a tracer, which knows no hooks
    return false;
  }
  Py_DECREF(handle);
  return true;
}

void release_last_hook() {
  if (autograd.hook_carrier != nullptr &&
      PyObject_SetAttr(autograd.hook_carrier, g_tensor_hooks, Py_None) != 0) {
    PyErr_Clear();
  }
}

}  // namespace fasttime
