// SPDX-License-Identifier: BSD-3-Clause
// The waits and the clock of `measure` and `compare`. Waits release the GIL.
#include "python/waiting_functions.h"

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/cuda_runtime.h"
#include "cuda/waits.h"
#include "host/scoped_gil_release.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

PyObject* g_find_streams = nullptr;

// The table, or null with a RuntimeError if CUDA cannot be used.
const CudaRuntime* cuda_or_error() {
  bind_if_cuda_is_up();
  const CudaRuntime& cuda = runtime();
  if (!cuda.has_cuda) {
    PyErr_SetString(PyExc_RuntimeError, backend().reason.c_str());
    return nullptr;
  }
  return &cuda;
}

// Asks Python for the streams of a device, once per device.
bool learn_streams(int device) {
  if (g_find_streams == nullptr || knows_streams(device)) {
    return true;
  }
  PyObject* found = PyObject_CallFunction(g_find_streams, "i", device);
  PyObject* items = found == nullptr ? nullptr : PySequence_Fast(found, "streams must be a list");
  Py_XDECREF(found);
  if (items == nullptr) {
    return false;
  }
  std::vector<void*> streams;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); ++i) {
    streams.push_back(PyLong_AsVoidPtr(PySequence_Fast_GET_ITEM(items, i)));
  }
  Py_DECREF(items);
  if (PyErr_Occurred() != nullptr) {
    return false;
  }
  know_streams(device, std::move(streams));
  return true;
}

PyObject* none_unless_failed(int status) {
  if (status != cuda::kSuccess) {
    const std::string words = "waiting for the device failed: " + last_failure();
    PyErr_SetString(PyExc_RuntimeError, words.c_str());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* wait_for_one(const CudaRuntime& cuda, int device) {
  if (!learn_streams(device)) {
    return nullptr;
  }
  int status = cuda::kSuccess;
  {
    const ScopedGilRelease meanwhile;
    status = wait_for_device(cuda, device);
  }
  return none_unless_failed(status);
}

// C++ exceptions, such as a lack of memory, must not reach the interpreter.
template <typename Body>
PyObject* guarded(Body body) {
  try {
    const CudaRuntime* cuda = cuda_or_error();
    return cuda == nullptr ? nullptr : body(*cuda);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
}

PyObject* py_wait_for_devices(PyObject*, PyObject*) {
  return guarded([](const CudaRuntime& cuda) -> PyObject* {
    for (const int device : devices_in_use(cuda)) {
      PyObject* done = wait_for_one(cuda, device);
      if (done == nullptr) {
        return nullptr;
      }
      Py_DECREF(done);
    }
    Py_RETURN_NONE;
  });
}

PyObject* py_wait_for_device(PyObject*, PyObject* index) {
  const long device = PyLong_AsLong(index);
  if (device == -1 && PyErr_Occurred() != nullptr) {
    return nullptr;
  }
  return guarded(
      [=](const CudaRuntime& cuda) { return wait_for_one(cuda, static_cast<int>(device)); });
}

PyObject* py_wait_for_stream(PyObject*, PyObject*) {
  return guarded([](const CudaRuntime& cuda) -> PyObject* {
    Place place;
    if (!current_place(cuda, place)) {
      PyErr_SetString(PyExc_RuntimeError, last_failure().c_str());
      return nullptr;
    }
    int status = cuda::kSuccess;
    {
      const ScopedGilRelease meanwhile;
      status = wait_for_stream(cuda, place);
    }
    return none_unless_failed(status);
  });
}

PyObject* list_of(const std::vector<Place>& places) {
  PyObject* list = PyList_New(0);
  for (const Place& place : places) {
    PyObject* item =
        list == nullptr
            ? nullptr
            : Py_BuildValue(
                  "(iK)", place.device,
                  static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(place.stream)));
    if (item == nullptr || PyList_Append(list, item) != 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(item);
  }
  return list;
}

PyObject* py_busy_streams(PyObject*, PyObject*) {
  return guarded([](const CudaRuntime& cuda) -> PyObject* {
    for (const int device : devices_in_use(cuda)) {
      if (!learn_streams(device)) {
        return nullptr;
      }
    }
    Place here;
    current_place(cuda, here);
    std::vector<Place> busy;
    {
      const ScopedGilRelease meanwhile;
      busy = busy_streams(cuda, here);
    }
    return list_of(busy);
  });
}

PyObject* py_devices_in_use(PyObject*, PyObject*) {
  return guarded([](const CudaRuntime& cuda) -> PyObject* {
    PyObject* list = PyList_New(0);
    for (const int device : devices_in_use(cuda)) {
      PyObject* item = list == nullptr ? nullptr : PyLong_FromLong(device);
      if (item == nullptr || PyList_Append(list, item) != 0) {
        Py_CLEAR(list);
      }
      Py_XDECREF(item);
    }
    return list;
  });
}

PyObject* py_exchange_capture_mode(PyObject*, PyObject* given) {
  int mode = static_cast<int>(PyLong_AsLong(given));
  if (PyErr_Occurred() != nullptr) {
    return nullptr;
  }
  return guarded([=](const CudaRuntime& cuda) mutable -> PyObject* {
    if (const int status = cuda.thread_exchange_stream_capture_mode(&mode)) {
      note_runtime_failure(cuda, "cudaThreadExchangeStreamCaptureMode", status);
      return none_unless_failed(status);
    }
    return PyLong_FromLong(mode);
  });
}

PyObject* py_set_stream_finder(PyObject*, PyObject* find) {
  Py_INCREF(find);
  Py_XSETREF(g_find_streams, find);
  Py_RETURN_NONE;
}

PyObject* py_clock(PyObject*, PyObject*) {
  return PyFloat_FromDouble(static_cast<double>(runtime().host_now_ns()) * 1e-9);
}

PyObject* py_is_bound(PyObject*, PyObject*) {
  bind_if_cuda_is_up();
  return PyBool_FromLong(runtime().has_cuda ? 1 : 0);
}

PyMethodDef g_functions[] = {{"is_bound", &py_is_bound, METH_NOARGS, nullptr},
                             {"clock", &py_clock, METH_NOARGS, nullptr},
                             {"wait_for_devices", &py_wait_for_devices, METH_NOARGS, nullptr},
                             {"wait_for_device", &py_wait_for_device, METH_O, nullptr},
                             {"wait_for_stream", &py_wait_for_stream, METH_NOARGS, nullptr},
                             {"busy_streams", &py_busy_streams, METH_NOARGS, nullptr},
                             {"devices_in_use", &py_devices_in_use, METH_NOARGS, nullptr},
                             {"exchange_capture_mode", &py_exchange_capture_mode, METH_O, nullptr},
                             {"set_stream_finder", &py_set_stream_finder, METH_O, nullptr},
                             {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_waiting_functions(PyObject* module) {
  return PyModule_AddFunctions(module, g_functions) == 0;
}

}  // namespace fasttime
