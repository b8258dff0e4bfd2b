// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "python/module_hooks.h"

namespace fasttime {

// The hooks, as module_hooks.cpp implements them. They return None and never raise.
PyObject* before_forward(ModuleHooks* hooks, PyObject* object, PyObject* arguments);
PyObject* after_forward(ModuleHooks* hooks, PyObject* object, PyObject* result);

// A callable that passes new nodes to keep_node(). Null, with no exception set, without memory.
PyObject* new_creation_hook(ModuleHooks* hooks);

// The name of the site of a repeated call.
SiteTable::Id recompute_name(ModuleHooks* hooks);

}  // namespace fasttime
