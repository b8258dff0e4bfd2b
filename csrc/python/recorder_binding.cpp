// SPDX-License-Identifier: BSD-3-Clause
// The class fasttime._C.Recorder and the values that it returns. Times are nanoseconds.
#include "python/recorder_binding.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/recorder.h"
#include "cuda/cuda_runtime.h"
#include "cuda/torch_streams.h"
#include "host/scoped_gil_release.h"
#include "python/scope_functions.h"
#include "python/torch_flag.h"

namespace py = pybind11;

namespace fasttime {
namespace {

// How often a drain checks for signals, so that Ctrl-C interrupts it.
constexpr int64_t kSignalCheckNs = 50'000'000;

py::str decode(const std::string& name) {
  PyObject* text =
      PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "surrogatepass");
  if (text == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::str>(text);
}

const char* status_name(Status status) {
  switch (status) {
    case Status::kOk:
      return "ok";
    case Status::kHostOnly:
      return "host_only";
    case Status::kDropped:
      return "dropped";
    case Status::kCaptured:
      return "captured";
    case Status::kFailed:
      return "failed";
  }
  return "unknown";
}

struct SiteEntry {
  SiteTable::Id id;
  SiteTable::Id parent;
  py::str name;
  SiteSummary summary;
};

// Every site, by id, with a parent before its children.
py::list site_entries(Recorder& recorder, bool take) {
  std::vector<SiteSummary> summaries = recorder.summaries(take);
  const SiteTable& sites = recorder.sites();
  py::list entries;
  for (SiteTable::Id id = SiteTable::kMore; id < summaries.size(); ++id) {
    entries.append(
        SiteEntry{id, sites.parent_of(id), decode(sites.name_of(id)), std::move(summaries[id])});
  }
  return entries;
}

// (parent, name) of every site from number `first` on, 1 or greater; a parent before its children.
py::list site_names(Recorder& recorder, SiteTable::Id first) {
  const SiteTable& sites = recorder.sites();
  const size_t count = sites.size();
  py::list names;
  for (SiteTable::Id id = std::max(first, SiteTable::kMore); id < count; ++id) {
    names.append(py::make_tuple(sites.parent_of(id), decode(sites.name_of(id))));
  }
  return names;
}

// True if everything that was pending at the call is resolved. A negative timeout means no timeout.
bool drain(Recorder& recorder, double timeout_s) {
  const Recorder::Mark mark = recorder.mark();
  const int64_t start_ns = runtime().host_now_ns();
  const double limit_ns = timeout_s < 0 ? 9e18 : std::min(timeout_s * 1e9, 9e18);
  const int64_t end_ns = limit_ns > 9e18 - static_cast<double>(start_ns)
                             ? std::numeric_limits<int64_t>::max()
                             : start_ns + static_cast<int64_t>(limit_ns);
  for (;;) {
    bool resolved = false;
    int64_t now_ns = 0;
    {
      const ScopedGilRelease meanwhile;
      resolved = recorder.drain(mark, std::min(end_ns, runtime().host_now_ns() + kSignalCheckNs));
      now_ns = runtime().host_now_ns();
    }
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
    if (resolved || now_ns >= end_ns) {
      return resolved;
    }
  }
}

// The kept samples of a site as tuples; `take` also removes them.
py::list recent(Recorder& recorder, SiteTable::Id site, bool take) {
  py::list samples;
  for (const Sample& sample : take ? recorder.take_recent(site) : recorder.recent(site)) {
    samples.append(
        py::make_tuple(status_name(sample.status), sample.host_begin_ns, sample.host_ns,
                       sample.status == Status::kOk ? py::cast(sample.device_ns) : py::none(),
                       sample.shares_boundary));
  }
  return samples;
}

template <typename Value, typename Rows, typename Read>
py::array_t<Value> column(const Rows& rows, Read read) {
  py::array_t<Value> values(static_cast<py::ssize_t>(rows.size()));
  Value* out = values.mutable_data();
  for (size_t i = 0; i < rows.size(); ++i) {
    out[i] = static_cast<Value>(read(rows[i]));
  }
  return values;
}

// Ends a timeline: its interval, one column per field of Span, and the count of dropped spans.
py::dict take_spans(Recorder& recorder) {
  const SpanStore::Taken spans = recorder.take_spans();
  py::dict result;
  result["from_ns"] = spans.from_ns;
  result["until_ns"] = spans.until_ns;
  result["dropped"] = spans.dropped;
  result["site"] = column<uint32_t>(spans, [](auto& s) { return s.site; });
  result["thread"] = column<uint64_t>(spans, [](auto& s) { return s.thread; });
  result["device"] = column<int32_t>(spans, [](auto& s) { return s.device; });
  result["stream"] =
      column<uint64_t>(spans, [](auto& s) { return reinterpret_cast<uintptr_t>(s.stream); });
  result["status"] = column<uint8_t>(spans, [](auto& s) { return s.status; });
  result["shares_boundary"] = column<bool>(spans, [](auto& s) { return s.shares_boundary; });
  result["host_begin_ns"] = column<int64_t>(spans, [](auto& s) { return s.host_begin_ns; });
  result["host_end_ns"] = column<int64_t>(spans, [](auto& s) { return s.host_end_ns; });
  result["is_placed"] = column<bool>(spans, [](auto& s) { return s.anchor != 0; });
  result["device_begin_ns"] =
      column<int64_t>(spans, [&](auto& s) { return spans.device_begin(s).host_ns; });
  result["device_end_ns"] =
      column<int64_t>(spans, [&](auto& s) { return spans.device_end(s).host_ns; });
  result["uncertainty_ns"] = column<int64_t>(spans, [&](auto& s) {
    return std::max(spans.device_begin(s).uncertainty_ns, spans.device_end(s).uncertainty_ns);
  });
  return result;
}

// Prepares the devices for scopes in CUDA graphs. Does nothing without CUDA. Does nothing either if
// the caller's stream captures or cannot be asked, because it could destroy that capture.
void prepare_graphs(Recorder& recorder, size_t scopes, uint32_t depth) {
  bind_if_cuda_is_up();
  const CudaRuntime& cuda = runtime();
  Place here;
  int status = cuda::kSuccess;
  if (!cuda.has_cuda || !current_place(cuda, here)) {
    return;
  }
  const CaptureState state = capture_state(cuda, here, status);
  if (state == CaptureState::kUnknown) {
    note_failure(cuda, "cudaStreamIsCapturing", status);
  }
  if (state != CaptureState::kNone) {
    return;
  }
  const ScopedGilRelease meanwhile;
  recorder.poll();  // gives up the scopes of graphs that are gone
  recorder.graphs().set_depth(depth);
  recorder.graphs().prepare(cuda, scopes);
}

py::tuple scope_functions(py::object self) {
  PyObject* functions = make_scope_functions(self.ptr(), self.cast<Recorder&>());
  if (functions == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::tuple>(functions);
}

void define_values(py::module_& module) {
  py::class_<SiteSummary>(module, "SiteSummary", py::module_local())
      .def_property_readonly("counts",
                             [](const SiteSummary& summary) {
                               py::dict counts;
                               for (int i = 0; i < kStatusCount; ++i) {
                                 counts[status_name(static_cast<Status>(i))] =
                                     summary.counts[static_cast<size_t>(i)];
                               }
                               return counts;
                             })
      .def_readonly("shared_boundaries", &SiteSummary::shared_boundaries)
      .def_readonly("lost", &SiteSummary::lost)
      .def_readonly("host", &SiteSummary::host)
      .def_readonly("device", &SiteSummary::device)
      .def_readonly("backlog_near", &SiteSummary::backlog_near)
      .def_readonly("backlog_above", &SiteSummary::backlog_above)
      .def_readonly("backlog_between", &SiteSummary::backlog_between)
      .def_readonly("backlog_total_ns", &SiteSummary::backlog_total_ns)
      .def_readonly("device_outlasted", &SiteSummary::device_outlasted)
      .def_readonly("host_took_as_long", &SiteSummary::host_took_as_long);
  py::class_<SiteEntry>(module, "SiteEntry", py::module_local())
      .def_readonly("id", &SiteEntry::id)
      .def_readonly("parent", &SiteEntry::parent)
      .def_readonly("name", &SiteEntry::name)
      .def_readonly("summary", &SiteEntry::summary);
  py::class_<RecorderCounts>(module, "RecorderCounts", py::module_local())
      .def_readonly("open", &RecorderCounts::open)
      .def_readonly("pending", &RecorderCounts::pending)
      .def_readonly("refused_sites", &RecorderCounts::refused_sites);
}

void define_class(py::module_& module) {
  py::class_<Recorder>(module, "Recorder", py::module_local())
      .def(py::init<>())
      .def("scope_functions", &scope_functions)
      .def("site_entries", &site_entries, py::arg("take"))
      .def("site_names", &site_names, py::arg("first") = SiteTable::kMore)
      .def("counts", &Recorder::counts)
      .def("poll", &Recorder::poll)
      .def("drain", &drain, py::arg("timeout_s"))
      .def("recent", &recent, py::arg("site"), py::arg("take") = false)
      .def("start_spans", &Recorder::start_spans, py::arg("limit"))
      .def("close_spans", &Recorder::close_spans)
      .def("take_spans", &take_spans)
      .def("reset", &Recorder::reset)
      .def("set_keep", &Recorder::set_keep, py::arg("count"))
      .def("set_share_window_ns", &Recorder::set_share_window, py::arg("ns"))
      .def("prepare_graphs", &prepare_graphs, py::arg("scopes"), py::arg("depth"))
      .def(
          "time_graphs",
          [](Recorder& recorder, bool on) { recorder.graphs().add_users(on ? 1 : -1); },
          py::arg("on"))
      .def("graph_refusal", [](Recorder& recorder) { return recorder.graphs().refusal(); })
      .def("has_graphs", [](Recorder& recorder) { return recorder.graphs().has_scopes(); });
}

}  // namespace

void define_recorder(PyObject* module) {
  auto target = py::reinterpret_borrow<py::module_>(module);
  define_values(target);
  define_class(target);
}

}  // namespace fasttime
