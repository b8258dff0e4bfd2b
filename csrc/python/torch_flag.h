// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Whether torch has started CUDA, read from torch's Python flag. Asking torch or CUDA would start
// CUDA, and break a later fork. Everything here needs the GIL.

// Sets the dictionary of the module torch.cuda, which has the flag. Called once at import.
void set_torch_cuda(PyObject* dict);

// Binds the CUDA runtime if torch has started CUDA. Takes 20 ns while torch has not.
void bind_if_cuda_is_up();

}  // namespace fasttime
