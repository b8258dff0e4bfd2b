// SPDX-License-Identifier: BSD-3-Clause
#include "python/torch_flag.h"

#include "cuda/cuda_runtime.h"

namespace fasttime {
namespace {

PyObject* g_torch_cuda_dict = nullptr;

// Whether this process was forked from one in which CUDA had started. Torch's flag is still set
// then. Only torch knows, because fasttime had not bound CUDA yet.
bool is_in_bad_fork() {
  PyObject* ask = PyDict_GetItemString(g_torch_cuda_dict, "_is_in_bad_fork");
  PyObject* answer = ask == nullptr ? nullptr : PyObject_CallNoArgs(ask);
  if (answer == nullptr) {
    PyErr_Clear();
  }
  Py_XDECREF(answer);
  return answer == Py_True;
}

}  // namespace

void set_torch_cuda(PyObject* dict) {
  Py_INCREF(dict);
  Py_XSETREF(g_torch_cuda_dict, dict);
}

void bind_if_cuda_is_up() {
  static PyObject* const flag = PyUnicode_InternFromString("_initialized");
  if (is_unbound() && g_torch_cuda_dict != nullptr && flag != nullptr &&
      PyDict_GetItem(g_torch_cuda_dict, flag) == Py_True) {
    if (is_in_bad_fork()) {
      retire_after_fork();
    } else {
      bind_torch_runtime();
    }
  }
}

}  // namespace fasttime
