// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "python/module_hooks.h"

namespace fasttime {

// The hooks, as module_hooks.cpp implements them. They return None, or null with an exception that
// finish_hook() leaves to the program.
PyObject* before_forward(ModuleHooks* hooks, PyObject* object, PyObject* arguments);
PyObject* after_forward(ModuleHooks* hooks, PyObject* object, PyObject* result);

// The life of the object (module_hooks_life.cpp). close_hooks() gives up what is open, and marks
// that are still on nodes then do nothing.
PyObject* close_hooks(PyObject* hooks, PyObject*);
int traverse_hooks(PyObject* hooks, visitproc visit, void* arg);
int clear_hooks(PyObject* hooks);
void free_hooks(PyObject* hooks);

// A callable that passes new nodes to keep_node(). Null, with no exception set, without memory.
PyObject* new_creation_hook(ModuleHooks* hooks);

// The name of the site of a repeated call.
SiteTable::Id recompute_name(ModuleHooks* hooks);

}  // namespace fasttime
