// SPDX-License-Identifier: BSD-3-Clause
#include "torch_flag.h"

#include "cuda_runtime.h"

namespace fasttime {
namespace {

PyObject* g_torch_cuda_dict = nullptr;

}  // namespace

void set_torch_cuda(PyObject* dict) {
  Py_INCREF(dict);
  Py_XSETREF(g_torch_cuda_dict, dict);
}

void bind_if_cuda_is_up() {
  static PyObject* const flag = PyUnicode_InternFromString("_initialized");
  if (is_unbound() && g_torch_cuda_dict != nullptr && flag != nullptr &&
      PyDict_GetItem(g_torch_cuda_dict, flag) == Py_True) {
    bind_torch_runtime();
  }
}

}  // namespace fasttime
