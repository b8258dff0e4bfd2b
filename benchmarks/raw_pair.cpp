// SPDX-License-Identifier: BSD-3-Clause
// The yardstick of scope_overhead.py and leaf_layers.py: the minimum cost of timing a block.
// It looks up torch's current stream and records an event on that stream, twice, and does nothing
// else. The two records run in a C loop, behind a bare `with`, or one at a time. The loop exists
// twice: with the runtime's cudaEventRecord and with the driver's cuEventRecord.
//
// _raw_pair.py compiles this file when needed, as a Python module. All functions are looked up at
// run time in the libraries that torch has loaded, so the build needs no CUDA header.

#include <Python.h>
#include <dlfcn.h>

#include <cstdint>
#include <vector>

namespace {

using Event = void*;
using Stream = void*;
// The runtime returns an enum with the size of an int, and so does the driver. 0 is success.
using EventRecord = int (*)(Event event, Stream stream);

// torch's C shim returns int32_t. 0 is success.
int32_t (*current_stream)(int32_t device, Stream* stream);
int (*event_create)(Event* event);
EventRecord runtime_record;
EventRecord driver_record;

int32_t device;
std::vector<Event> events;  // used in turn
size_t next_event;

void* open_loaded(const char* library) { return dlopen(library, RTLD_NOLOAD | RTLD_LAZY); }

// Looks in the same order in which torch's own calls are resolved.
void* find_in_runtime(const char* name) {
  if (void* found = dlsym(RTLD_DEFAULT, name)) return found;
  void* library = open_loaded("libc10_cuda.so");
  return library ? dlsym(library, name) : nullptr;
}

void* find_in_driver(const char* name) {
  void* library = open_loaded("libcuda.so.1");
  return library ? dlsym(library, name) : nullptr;
}

// Returns an error message, or null.
const char* find_functions_and_create_events(size_t count) {
  void* torch_cuda = open_loaded("libtorch_cuda.so");
  if (!torch_cuda) return "libtorch_cuda.so is not loaded";
  current_stream = reinterpret_cast<decltype(current_stream)>(
      dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream"));
  event_create = reinterpret_cast<decltype(event_create)>(find_in_runtime("cudaEventCreate"));
  runtime_record = reinterpret_cast<EventRecord>(find_in_runtime("cudaEventRecord"));
  driver_record = reinterpret_cast<EventRecord>(find_in_driver("cuEventRecord"));
  if (!current_stream) return "aoti_torch_get_current_cuda_stream is not in this torch";
  if (!event_create || !runtime_record) return "the CUDA runtime is not loaded";
  if (!driver_record) return "the CUDA driver is not loaded";
  while (events.size() < count) {
    Event event;
    if (event_create(&event) != 0) return "cudaEventCreate failed";
    events.push_back(event);
  }
  return nullptr;
}

bool record_one(EventRecord record) {
  Stream stream;
  if (++next_event == events.size()) next_event = 0;
  return current_stream(device, &stream) == 0 && record(events[next_event], stream) == 0;
}

PyObject* none_or_error(bool good) {
  if (good) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, "a call of the raw pair failed");
  return nullptr;
}

// prepare(device, events): creates the events and records on this device from now on. The device
// must be the current one, and torch must have started CUDA.
PyObject* prepare(PyObject*, PyObject* arguments) {
  int count = 0;
  if (!PyArg_ParseTuple(arguments, "ii", &device, &count)) return nullptr;
  const char* missing = find_functions_and_create_events(static_cast<size_t>(count));
  if (!missing) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, missing);
  return nullptr;
}

PyObject* record_pairs(EventRecord record, PyObject* pairs) {
  const long count = PyLong_AsLong(pairs);
  bool good = true;
  for (long i = 0; i < 2 * count; ++i) good = record_one(record) && good;
  return PyErr_Occurred() ? nullptr : none_or_error(good);
}

// loop(pairs), driver_loop(pairs): record this many pairs in a row.
PyObject* loop(PyObject*, PyObject* pairs) { return record_pairs(runtime_record, pairs); }
PyObject* driver_loop(PyObject*, PyObject* pairs) { return record_pairs(driver_record, pairs); }

// record(): records one event.
PyObject* record(PyObject*, PyObject*) { return none_or_error(record_one(runtime_record)); }

// `with pair:` records one event on entry and one on exit.
PyObject* enter(PyObject*, PyObject*) { return none_or_error(record_one(runtime_record)); }
PyObject* leave(PyObject*, PyObject* const*, Py_ssize_t) {
  return none_or_error(record_one(runtime_record));
}

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
                           {"driver_loop", &driver_loop, METH_O, nullptr},
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
