// SPDX-License-Identifier: BSD-3-Clause
#include "python/stream_arguments.h"

#include <algorithm>
#include <memory>
#include <new>

namespace fasttime {
namespace {

constexpr const char* kOwnerName = "fasttime.streams";

// Whether the exception that is set says that an object is not a stream. Others, such as
// KeyboardInterrupt and MemoryError, pass through.
bool says_no_stream() {
  return PyErr_ExceptionMatches(PyExc_AttributeError) != 0 ||
         PyErr_ExceptionMatches(PyExc_TypeError) != 0 ||
         PyErr_ExceptionMatches(PyExc_ValueError) != 0 ||
         PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
}

void free_owner(PyObject* owner) {
  Py_XDECREF(static_cast<PyObject*>(PyCapsule_GetContext(owner)));
  delete static_cast<Places*>(PyCapsule_GetPointer(owner, kOwnerName));
}

// Adds one stream, unless the list has it already. False with an exception set.
bool add_stream(PyObject* stream, Places& places) {
  Place place;
  if (!parse_stream(stream, place)) {
    return false;
  }
  if (place.device >= 0 && places.device >= 0 && place.device != places.device) {
    PyErr_Format(
        PyExc_ValueError,
        "streams must lie on one device, got streams of cuda:%d and cuda:%d; use one scope "
        "per device",
        places.device, place.device);
    return false;
  }
  places.device = std::max(places.device, place.device);
  const auto end = places.streams.begin() + static_cast<std::ptrdiff_t>(places.count);
  if (std::find(places.streams.begin(), end, place.stream) != end) {
    return true;
  }
  if (places.count == Places::kMost) {
    PyErr_Format(PyExc_ValueError,
                 "streams takes at most %zu streams, because each costs two records; time fewer "
                 "streams, or let one stream wait for the others and time that one",
                 Places::kMost);
    return false;
  }
  places.streams[places.count++] = place.stream;
  return true;
}

// False with an exception set.
bool add_streams(PyObject* streams, Places& places) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(streams); ++i) {
    if (!add_stream(PyTuple_GET_ITEM(streams, i), places)) {
      return false;
    }
  }
  if (places.count == 0) {
    PyErr_SetString(PyExc_ValueError,
                    "streams must have at least one stream; leave streams= out to time torch's "
                    "current stream");
  }
  return places.count > 0;
}

}  // namespace

bool parse_stream(PyObject* stream, Place& place) {
  PyObject* handle = nullptr;
  PyObject* device = nullptr;
  if (PyLong_Check(stream) && !PyBool_Check(stream)) {
    Py_INCREF(stream);
    handle = stream;
    device = PyLong_FromLong(-1);
  } else if ((handle = PyObject_GetAttrString(stream, "cuda_stream")) != nullptr) {
    device = PyObject_GetAttrString(stream, "device_index");
  }
  if (handle != nullptr && device != nullptr) {
    // Unsigned: a handle is an address. A negative number raises here.
    place.stream =
        reinterpret_cast<void*>(static_cast<uintptr_t>(PyLong_AsUnsignedLongLong(handle)));
    // A negative number means the current device. Other negative devices have a meaning of their
    // own.
    place.device = std::max(-1, static_cast<int>(PyLong_AsLong(device)));
  }
  const bool good = PyErr_Occurred() == nullptr;
  Py_XDECREF(handle);
  Py_XDECREF(device);
  if (!good && says_no_stream()) {
    PyErr_Format(
        PyExc_TypeError,
        "stream must be a torch.cuda.Stream, a raw CUDA stream handle (int) on the current "
        "device, or None for torch's current stream; got %R",
        stream);
  }
  return good;
}

PyObject* parse_streams(PyObject* streams, Place& place) {
  PyObject* tuple = PySequence_Tuple(streams);
  if (tuple == nullptr) {
    if (PyErr_ExceptionMatches(PyExc_TypeError) != 0) {
      PyErr_Format(PyExc_TypeError,
                   "streams must be a sequence of torch.cuda.Stream objects or raw handles, got "
                   "%R; for one stream, write stream=",
                   streams);
    }
    return nullptr;
  }
  std::unique_ptr<Places> places(new (std::nothrow) Places);
  if (places == nullptr) {
    PyErr_NoMemory();
  }
  if (places == nullptr || !add_streams(tuple, *places)) {
    Py_DECREF(tuple);
    return nullptr;
  }
  if (places->count == 1) {
    PyObject* only = PyTuple_GET_ITEM(tuple, 0);
    Py_INCREF(only);
    Py_DECREF(tuple);
    place = {places->device, places->streams[0]};
    return only;
  }
  PyObject* owner = PyCapsule_New(places.get(), kOwnerName, &free_owner);
  if (owner == nullptr) {
    Py_DECREF(tuple);
    return nullptr;
  }
  PyCapsule_SetContext(owner, tuple);
  place = place_of(*places.release());
  return owner;
}

PyObject* streams_of(PyObject* owner) noexcept {
  return PyCapsule_IsValid(owner, kOwnerName) != 0
             ? static_cast<PyObject*>(PyCapsule_GetContext(owner))
             : nullptr;
}

}  // namespace fasttime
