// SPDX-License-Identifier: BSD-3-Clause
// fasttime._C: conversions by pybind11, for everything that is not hot. The hot path is in
// scope_type.cpp. Times are nanoseconds here, and become seconds in Python.
#include <pybind11/pybind11.h>

#include <memory>
#include <stdexcept>

#include "cuda/cuda_runtime.h"
#include "cuda/devices.h"
#include "cuda/stream_hold.h"
#include "cuda/torch_streams.h"
#include "python/gil_hooks.h"
#include "python/handle_binding.h"
#include "python/module_hooks.h"
#include "python/phases_type.h"
#include "python/recorder_binding.h"
#include "python/scope_functions.h"
#include "python/scope_hooks.h"
#include "python/scope_type.h"
#include "python/series_binding.h"
#include "python/stream_watch_binding.h"
#include "python/torch_flag.h"
#include "python/waiting_functions.h"

namespace py = pybind11;

namespace fasttime {
namespace {

bool is_capturing() {
  const CudaRuntime& cuda = runtime();
  Place here;
  int status = cuda::kSuccess;
  return cuda.has_cuda && current_place(cuda, here) &&
         capture_state(cuda, here, status) == CaptureState::kCapturing;
}

py::dict backend_dict() {
  const Backend found = backend();
  py::dict facts;
  facts["has_cuda"] = found.has_cuda;
  facts["runtime_version"] = found.runtime_version;
  facts["reason"] = found.reason;
  facts["retired"] = is_retired();
  facts["last_failure"] = last_failure();
  facts["failures"] = failure_count();
  return facts;
}

// Counts of a device's event pool; None without CUDA. Prepares the device if necessary.
py::object event_pool(int index) {
  const CudaRuntime& cuda = runtime();
  Device* device = cuda.has_cuda ? device_at(cuda, index) : nullptr;
  if (device == nullptr) {
    return py::none();
  }
  return py::make_tuple(device->pool.created(), device->pool.in_pool());
}

PyObject* checked_scope(const py::object& scope) {
  if (!is_scope(scope.ptr())) {
    throw py::type_error("not a scope");
  }
  return scope.ptr();
}

// Holds torch's current stream.
std::unique_ptr<StreamHold> hold_current_stream(double timeout_s) {
  bind_if_cuda_is_up();  // there may have been no scope yet
  const CudaRuntime& cuda = runtime();
  Place place;
  if (!cuda.has_cuda) {
    throw std::runtime_error("the stream cannot be held: " + backend().reason);
  }
  if (!current_place(cuda, place)) {
    throw std::runtime_error("the stream cannot be held: " + last_failure());
  }
  return std::make_unique<StreamHold>(cuda, place, static_cast<int64_t>(timeout_s * 1e9));
}

void define_hold(py::module_& module) {
  // Release joins the watchdog thread, which takes little time and never asks for the GIL.
  py::class_<StreamHold>(module, "StreamHold", py::module_local())
      .def(py::init(&hold_current_stream), py::arg("timeout_s"))
      .def("release", &StreamHold::release);
}

void define_process(py::module_& module) {
  module.def("backend", &backend_dict);
  module.def("bind_if_cuda_is_up", &bind_if_cuda_is_up);
  module.def("retire", &retire, py::arg("reason"));
  module.def("is_capturing", &is_capturing);
  module.def("event_pool", &event_pool, py::arg("device"));
  module.def("host_now_ns", [] { return runtime().host_now_ns(); });
  module.def(
      "set_scope_hooks",
      [](const py::dict& torch_cuda, const py::object& decorate, const py::object& reduce) {
        set_torch_cuda(torch_cuda.ptr());
        set_scope_hooks(decorate.ptr(), reduce.ptr());
      },
      py::arg("torch_cuda"), py::arg("decorate"), py::arg("reduce"));
  module.def(
      "set_enabled",
      [](const py::object& scope_function, bool enabled) {
        if (!set_scopes_enabled(scope_function.ptr(), enabled)) {
          throw py::error_already_set();
        }
      },
      py::arg("scope_function"), py::arg("enabled"));
  module.def(
      "set_marks",
      [](const py::object& scope_function, const py::object& begin, const py::object& end,
         bool has_details) {
        if (!set_scope_marks(scope_function.ptr(), begin.ptr(), end.ptr(), has_details)) {
          throw py::error_already_set();
        }
      },
      py::arg("scope_function"), py::arg("begin"), py::arg("end"), py::arg("has_details") = false);
  module.def(
      "is_enabled",
      [](const py::object& scope_function) {
        const int enabled = scopes_enabled(scope_function.ptr());
        if (enabled < 0) {
          throw py::error_already_set();
        }
        return enabled == 1;
      },
      py::arg("scope_function"));
  module.def(
      "cancel",
      [](const py::object& scope) {
        if (!cancel_scope(checked_scope(scope))) {
          throw py::error_already_set();
        }
      },
      py::arg("scope"));
  module.def(
      "suspend", [](const py::object& scope) { suspend_scope(checked_scope(scope)); },
      py::arg("scope"));
  module.def(
      "resume",
      [](const py::object& scope) {
        if (!resume_scope(checked_scope(scope))) {
          throw py::error_already_set();
        }
      },
      py::arg("scope"));
}

void define_module(py::module_& module) {
  install_gil_hooks();
  if (!init_scope_functions() || !init_module_hooks()) {
    throw py::error_already_set();
  }
  module.attr("Scope") = py::reinterpret_borrow<py::object>(scope_type());
  module.attr("Phases") = py::reinterpret_borrow<py::object>(phases_type());
  define_series(module.ptr());
  define_recorder(module.ptr());
  define_handle(module.ptr());
  define_hold(module);
  define_stream_watch(module.ptr());
  define_process(module);
  if (!add_waiting_functions(module.ptr())) {
    throw py::error_already_set();
  }
}

}  // namespace
}  // namespace fasttime

#if PYBIND11_VERSION_HEX >= 0x03000000
PYBIND11_MODULE(_C, module, py::multiple_interpreters::not_supported()) {
#else
PYBIND11_MODULE(_C, module) {
#endif
  fasttime::define_module(module);
}
