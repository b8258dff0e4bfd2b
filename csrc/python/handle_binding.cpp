// SPDX-License-Identifier: BSD-3-Clause
// The functions of fasttime._C for instrument(). Times are nanoseconds.
#include "python/handle_binding.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "core/recorder.h"
#include "python/autograd_access.h"
#include "python/module_hooks.h"

namespace py = pybind11;

namespace fasttime {
namespace {

py::object module_hooks(const py::object& core) {
  PyObject* hooks = new_module_hooks(core.ptr(), core.cast<Recorder&>());
  if (hooks == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(hooks);
}

HandleSeries& series_of(const Recorder& recorder) {
  HandleSeries* series = recorder.handle_series();
  if (series == nullptr) {
    throw py::value_error("the recorder counts for no handle");
  }
  return *series;
}

// (self host, self device, periods). A period is (number, four sums over its timed steps, four sums
// of their squares), in the order of ModuleTime.
py::tuple module_self(const Recorder& recorder, SiteTable::Id site) {
  ModuleSelf self = series_of(recorder).modules.copy(site);
  py::list periods;
  for (const PeriodSums& sums : self.periods) {
    periods.append(py::make_tuple(sums.period, sums.total, sums.squares));
  }
  return py::make_tuple(std::move(self.host), std::move(self.device), periods);
}

// (complete steps, lost steps, host, device, [(host, device) of each part])
py::tuple step_series(const Recorder& recorder) {
  StepSeries::Copy copied = series_of(recorder).steps.copy();
  py::list parts;
  for (size_t i = 0; i < StepSeries::kParts; ++i) {
    parts.append(py::make_tuple(std::move(copied.part_host[i]), std::move(copied.part_device[i])));
  }
  return py::make_tuple(copied.steps, copied.lost, std::move(copied.host), std::move(copied.device),
                        parts);
}

// [(step, device time)] of the steps that became complete since the last call.
py::list take_step_times(const Recorder& recorder) {
  py::list taken;
  for (const StepSeries::StepTime& time : series_of(recorder).steps.take_times()) {
    taken.append(py::make_tuple(time.step, time.device_ns));
  }
  return taken;
}

void give_autograd(const py::dict& objects) {
  if (!set_autograd(objects.ptr())) {
    throw py::error_already_set();
  }
}

}  // namespace

void define_handle(PyObject* module) {
  auto target = py::reinterpret_borrow<py::module_>(module);
  target.def("set_autograd", &give_autograd, py::arg("objects"));
  target.attr("ModuleHooks") = py::reinterpret_borrow<py::object>(module_hooks_type());
  target.def("module_hooks", &module_hooks, py::arg("core"));
  target.def("module_self", &module_self, py::arg("core"), py::arg("site"));
  target.def("step_series", &step_series, py::arg("core"));
  target.def("take_step_times", &take_step_times, py::arg("core"));
}

}  // namespace fasttime
