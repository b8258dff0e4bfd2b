// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

namespace fasttime {

// Whether torch has started CUDA, read from its Python flag: to ask torch itself, or CUDA, would
// start CUDA, and poison a later fork. Everything here needs the GIL.

// Where the flag is: the dictionary of the module torch.cuda. Called once at import.
void set_torch_cuda(PyObject* dict);

// Binds the CUDA runtime if torch has started CUDA by now. 20 ns while it has not.
void bind_if_cuda_is_up();

}  // namespace fasttime
