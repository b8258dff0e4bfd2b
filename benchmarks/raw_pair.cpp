// SPDX-License-Identifier: BSD-3-Clause
// The yardstick of scope_overhead.py and leaf_layers.py: what timing a section costs at the least.
// Torch's current stream is looked up and an event recorded on it, twice, and nothing else is done:
// in a loop in C, behind a bare `with`, or one at a time. Compiled on demand, as a Python module;
// all else is found at run time among the libraries that torch has loaded, so that no CUDA header
// is needed.

#include <Python.h>
#include <dlfcn.h>

#include <cstdint>
#include <vector>

namespace {

using Event = void*;
using Stream = void*;

// torch's C shim returns int32_t, the CUDA runtime an enum of the size of an int; 0 is success.
int32_t (*current_stream)(int32_t device, Stream* stream);
int (*event_create)(Event* event);
int (*event_record)(Event event, Stream stream);

int32_t device;
std::vector<Event> events;  // used in turn
size_t next_event;

void* open_loaded(const char* library) { return dlopen(library, RTLD_NOLOAD | RTLD_LAZY); }

// In the order in which torch's own calls are resolved.
void* find_in_runtime(const char* name) {
  if (void* found = dlsym(RTLD_DEFAULT, name)) return found;
  void* library = open_loaded("libc10_cuda.so");
  return library ? dlsym(library, name) : nullptr;
}

// What is missing, or null.
const char* find_and_make(size_t count) {
  void* torch_cuda = open_loaded("libtorch_cuda.so");
  if (!torch_cuda) return "libtorch_cuda.so is not loaded";
  current_stream = reinterpret_cast<decltype(current_stream)>(
      dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream"));
  event_create = reinterpret_cast<decltype(event_create)>(find_in_runtime("cudaEventCreate"));
  event_record = reinterpret_cast<decltype(event_record)>(find_in_runtime("cudaEventRecord"));
  if (!current_stream) return "aoti_torch_get_current_cuda_stream is not in this torch";
  if (!event_create || !event_record) return "the CUDA runtime is not loaded";
  while (events.size() < count) {
    Event event;
    if (event_create(&event) != 0) return "cudaEventCreate failed";
    events.push_back(event);
  }
  return nullptr;
}

bool record_one() {
  Stream stream;
  if (++next_event == events.size()) next_event = 0;
  return current_stream(device, &stream) == 0 && event_record(events[next_event], stream) == 0;
}

PyObject* none_or_error(bool good) {
  if (good) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, "a call of the raw pair failed");
  return nullptr;
}

// prepare(device, events): makes so many events on the device, which must be current, and records
// on it from now on. CUDA must have been started by torch.
PyObject* prepare(PyObject*, PyObject* arguments) {
  int count = 0;
  if (!PyArg_ParseTuple(arguments, "ii", &device, &count)) return nullptr;
  const char* missing = find_and_make(static_cast<size_t>(count));
  if (!missing) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, missing);
  return nullptr;
}

// loop(pairs): so many pairs in a row.
PyObject* loop(PyObject*, PyObject* pairs) {
  const long count = PyLong_AsLong(pairs);
  bool good = true;
  for (long i = 0; i < 2 * count; ++i) good = record_one() && good;
  return PyErr_Occurred() ? nullptr : none_or_error(good);
}

// record(): one event.
PyObject* record(PyObject*, PyObject*) { return none_or_error(record_one()); }

// `with pair:` records one event as it is entered and one as it is left, keeps nothing and asks
// nothing.
PyObject* enter(PyObject*, PyObject*) { return none_or_error(record_one()); }
PyObject* leave(PyObject*, PyObject* const*, Py_ssize_t) { return none_or_error(record_one()); }

PyCFunction as_function(_PyCFunctionFast fast) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(fast));
}

PyMethodDef pair_methods[] = {{"__enter__", &enter, METH_NOARGS, nullptr},
                              {"__exit__", as_function(&leave), METH_FASTCALL, nullptr},
                              {nullptr, nullptr, 0, nullptr}};
PyType_Slot pair_slots[] = {{Py_tp_methods, pair_methods}, {0, nullptr}};
PyType_Spec pair_spec = {"fasttime_raw_pair.Pair", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT,
                         pair_slots};

PyMethodDef functions[] = {{"prepare", &prepare, METH_VARARGS, nullptr},
                           {"loop", &loop, METH_O, nullptr},
                           {"record", &record, METH_NOARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};
PyModuleDef module = {PyModuleDef_HEAD_INIT,
                      "fasttime_raw_pair",
                      nullptr,
                      -1,
                      functions,
                      nullptr,
                      nullptr,
                      nullptr,
                      nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_fasttime_raw_pair() {
  PyObject* made = PyModule_Create(&module);
  PyObject* type = made ? PyType_FromSpec(&pair_spec) : nullptr;
  PyObject* pair = type ? PyObject_CallNoArgs(type) : nullptr;
  if (!pair || PyModule_AddObject(made, "pair", pair) < 0) {
    Py_XDECREF(made);
    return nullptr;
  }
  Py_DECREF(type);
  return made;
}
