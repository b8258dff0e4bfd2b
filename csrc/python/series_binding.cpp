// SPDX-License-Identifier: BSD-3-Clause
// The class fasttime._C.Series: an immutable value in Python. Times are nanoseconds.
#include "python/series_binding.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/series.h"

namespace py = pybind11;

namespace fasttime {
namespace {

// Without forcecast: floats, and integers that may not fit, are a TypeError.
using Integers = py::array_t<int64_t, py::array::c_style>;

// Clears Python's OverflowError and raises a ValueError that names the argument.
[[noreturn]] void refuse(const char* name) {
  PyErr_Clear();
  throw py::value_error(std::string(name) + " is out of range");
}

int64_t signed_of(const char* name, const py::int_& value) {
  const int64_t found = PyLong_AsLongLong(value.ptr());
  if (found == -1 && PyErr_Occurred() != nullptr) {
    refuse(name);
  }
  return found;
}

Series::Wide wide_of(const char* name, const py::int_& value) {
  const py::int_ upper = value >> py::int_(64);
  const uint64_t high = PyLong_AsUnsignedLongLong(upper.ptr());
  if (PyErr_Occurred() != nullptr) {
    refuse(name);
  }
  return static_cast<Series::Wide>(high) << 64 | PyLong_AsUnsignedLongLongMask(value.ptr());
}

py::int_ int_of(Series::Wide value) {
  const py::int_ upper(static_cast<uint64_t>(value >> 64));
  const py::int_ lower(static_cast<uint64_t>(value));
  return (upper << py::int_(64)) | lower;
}

Series make_series(const py::int_& count, const py::int_& total, const py::int_& squares,
                   const py::int_& min, const py::int_& max, const Integers& buckets,
                   const Integers& counts, std::optional<int64_t> first) {
  const int64_t whole_count = signed_of("count", count);
  if (whole_count < 0) {
    refuse("count");
  }
  const Series::Moments moments{static_cast<uint64_t>(whole_count), signed_of("total_ns", total),
                                wide_of("squares_ns2", squares), signed_of("min_ns", min),
                                signed_of("max_ns", max)};
  if (buckets.ndim() != 1 || counts.ndim() != 1 || buckets.size() != counts.size()) {
    throw py::value_error("buckets and counts must be flat arrays of the same length");
  }
  std::vector<Histogram::Filled> filled;
  for (py::ssize_t i = 0; i < buckets.size(); ++i) {
    // A negative number becomes more than 2^63, which is refused below.
    filled.emplace_back(static_cast<size_t>(buckets.at(i)), static_cast<uint64_t>(counts.at(i)));
  }
  return Series(moments, filled, first);
}

// (count, total, squares, min, max), in ns and ns^2.
py::tuple moments_of(const Series& series) {
  const Series::Moments exact = series.moments();
  return py::make_tuple(exact.count, exact.total_ns, int_of(exact.squares_ns2), exact.min_ns,
                        exact.max_ns);
}

// The numbers of the buckets that hold any durations, and how many each of them holds.
py::tuple histogram_of(const Series& series) {
  const auto filled = series.histogram().filled();
  py::array_t<uint16_t> buckets(static_cast<py::ssize_t>(filled.size()));
  py::array_t<int64_t> counts(static_cast<py::ssize_t>(filled.size()));
  for (size_t i = 0; i < filled.size(); ++i) {
    buckets.mutable_data()[i] = static_cast<uint16_t>(filled[i].first);
    counts.mutable_data()[i] = static_cast<int64_t>(filled[i].second);
  }
  return py::make_tuple(buckets, counts);
}

// A pickle holds the histogram as bytes, the counts in the narrowest type that fits: arrays would
// add 150 bytes each.
py::tuple pickled(const Series& series) {
  const py::tuple histogram = histogram_of(series);
  const py::object counts = histogram[1];
  const py::object widest = counts.attr("max")(py::arg("initial") = 0);
  const py::object kind = py::module_::import("numpy").attr("min_scalar_type")(widest);
  const py::object narrow = counts.attr("astype")(kind.attr("newbyteorder")("<"));
  return moments_of(series) + py::make_tuple(histogram[0].attr("astype")("<u2").attr("tobytes")(),
                                             narrow.attr("dtype").attr("str"),
                                             narrow.attr("tobytes")(), series.first());
}

Series unpickled(const py::tuple& state) {
  if (state.size() != 9) {
    throw py::value_error("not the state of a Series");
  }
  const py::object from_bytes = py::module_::import("numpy").attr("frombuffer");
  return make_series(state[0], state[1], state[2], state[3], state[4], from_bytes(state[5], "<u2"),
                     from_bytes(state[7], state[6]), state[8].cast<std::optional<int64_t>>());
}

std::vector<double> bucket_middles() {
  std::vector<double> middles;
  for (size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    middles.push_back(Histogram::middle_of(bucket));
  }
  return middles;
}

bool equals(const Series& one, const Series& other) { return one == other; }

}  // namespace

void define_series(PyObject* module) {
  auto target = py::reinterpret_borrow<py::module_>(module);
  target.def("bucket_middles_ns", &bucket_middles);
  py::class_<Series>(target, "Series", py::module_local())
      .def(py::init<>())
      .def(py::init(&make_series), py::arg("count"), py::arg("total_ns"), py::arg("squares_ns2"),
           py::arg("min_ns"), py::arg("max_ns"), py::arg("buckets"), py::arg("counts"),
           py::arg("first_ns") = std::nullopt)
      .def_property_readonly("count", &Series::count)
      .def_property_readonly("total_ns", &Series::total)
      .def_property_readonly("mean_ns", &Series::mean)
      .def_property_readonly("std_ns", &Series::standard_deviation)
      .def_property_readonly("min_ns", &Series::min)
      .def_property_readonly("max_ns", &Series::max)
      .def_property_readonly("first_ns", &Series::first)
      .def("quantile_ns", &Series::quantile, py::arg("q"))
      .def("counts_below_ns", &Series::counts_below, py::arg("bounds"))
      .def("merged", &Series::merged, py::arg("other"))
      .def("since", &Series::since, py::arg("earlier"))
      .def("moments", &moments_of)
      .def("histogram", &histogram_of)
      .def("__eq__", &equals, py::is_operator())
      .def("__hash__", [](const Series& series) { return py::hash(moments_of(series)); })
      .def(py::pickle(&pickled, &unpickled));
}

}  // namespace fasttime
