// SPDX-License-Identifier: BSD-3-Clause
#include "python/stream_watch_binding.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <utility>
#include <vector>

#include "core/stream_watch.h"

namespace py = pybind11;

namespace fasttime {
namespace {

// A stream as Python sees it here: its device and its handle.
using DeviceAndHandle = std::pair<int, uintptr_t>;

std::vector<Place> places_from(const std::vector<DeviceAndHandle>& pairs) {
  std::vector<Place> places;
  for (const auto& [device, handle] : pairs) {
    places.push_back({device, reinterpret_cast<void*>(handle)});
  }
  return places;
}

py::tuple read_watch(StreamWatch& watch) {
  const StreamWatch::Answers answers = watch.read(runtime());
  py::list busy;
  for (const StreamWatch::Busy& one : answers.busy) {
    busy.append(py::make_tuple(one.number, one.place.device,
                               reinterpret_cast<uintptr_t>(one.place.stream), one.beyond_ns));
  }
  return py::make_tuple(busy, answers.done);
}

// The device and handle of torch's current stream; None without CUDA.
py::object current_stream() {
  Place here;
  const CudaRuntime& cuda = runtime();
  return cuda.has_cuda && current_place(cuda, here)
             ? py::object(py::make_tuple(here.device, reinterpret_cast<uintptr_t>(here.stream)))
             : py::none();
}

}  // namespace

void define_stream_watch(PyObject* python_module) {
  auto module = py::reinterpret_borrow<py::module_>(python_module);
  py::class_<StreamWatch>(module, "StreamWatch", py::module_local())
      .def(py::init<>())
      .def_static("prepare", [](int device) { return StreamWatch::prepare(runtime(), device); })
      .def("mark",
           [](StreamWatch& watch, uint64_t number, const std::vector<DeviceAndHandle>& own,
              const std::vector<DeviceAndHandle>& others) {
             return watch.mark(runtime(), number, places_from(own), places_from(others));
           })
      .def("read", &read_watch)
      .def_property_readonly("pending", &StreamWatch::pending)
      .def_property_readonly("skipped", &StreamWatch::skipped);
  module.def("current_stream", &current_stream);
}

}  // namespace fasttime
