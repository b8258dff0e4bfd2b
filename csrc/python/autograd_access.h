// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

namespace fasttime {

// What module hooks ask of torch's autograd. Everything here needs the GIL.
//
// Two numbers come from functions that libtorch_cpu exports, because a call through Python would
// cost more than all the rest of a hook. If a torch lacks them, Python functions answer.

// The objects of torch that hooks use; owned, null until set_autograd().
struct AutogradObjects {
  PyObject* tensor_type = nullptr;     // torch.Tensor
  PyObject* parameter_type = nullptr;  // torch.nn.Parameter
  PyObject* version = nullptr;         // the descriptor of Tensor._version
  PyObject* grad_fn = nullptr;         // the descriptor of Tensor.grad_fn
  PyObject* hook_carrier = nullptr;    // a tensor through which nodes get hooks, or null
  PyObject* sequence_number = nullptr;
  PyObject* task_number = nullptr;
  PyObject* queue_callback = nullptr;
  PyObject* push_creation_hook = nullptr;  // null before torch 2.14
  PyObject* pop_creation_hook = nullptr;
};
extern AutogradObjects autograd;

// Takes the objects from a dict, by the names of the members. Called once. False with an exception
// set.
bool set_autograd(PyObject* objects);

// The number that the next node of this thread's graph will get. Nodes of one thread are numbered
// in the order in which they were made.
int64_t next_sequence_number();

// The number of the backward pass that runs on this thread; -1 outside of a backward pass.
int64_t backward_task();

// Whether inference mode is on. Its tensors do not count their changes.
bool is_inference();

// How often a tensor was changed in place. False if the object is no plain tensor, or does not
// count its changes.
bool version_of(PyObject* object, int64_t& version);

// Whether this is a torch.Tensor or a subclass.
bool is_tensor(PyObject* object);

// The node that made a tensor; null without one. A new reference. Sets no exception.
PyObject* node_of(PyObject* tensor);

// The number of a node, or -1. Sets no exception.
int64_t sequence_number_of(PyObject* node);

// Registers `hook` to run before the node. It must return None. Sets no exception.
//
// With a hook carrier, the hook is one of the node's first output. Such a hook also runs when a
// backward pass ends at this output, and the node itself does not run.
bool register_prehook(PyObject* node, PyObject* hook);
// Drops the last hook, if no node keeps it. Sets no exception.
void release_last_hook();

}  // namespace fasttime
