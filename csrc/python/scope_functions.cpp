// SPDX-License-Identifier: BSD-3-Clause
#include "python/scope_functions.h"

#include <new>
#include <utility>

#include "python/context_object.h"
#include "python/current_stack.h"
#include "python/phases_type.h"
#include "python/scope_hooks.h"
#include "python/scope_type.h"
#include "python/stream_arguments.h"

namespace fasttime {
namespace {

PyTypeObject* g_source_type = nullptr;
PyObject* g_stream_word = nullptr;  // "stream", interned as in every call that names it
PyObject* g_streams_word = nullptr;
PyObject* g_name_word = nullptr;

void source_dealloc(PyObject* object) {
  auto* self = reinterpret_cast<ScopeSource*>(object);
  PyTypeObject* type = Py_TYPE(object);
  self->names.~NameCache();
  drop_marks(self->marks);
  Py_XDECREF(self->scope_function);
  Py_XDECREF(self->owner);
  PyObject_Free(object);
  Py_DECREF(type);
}

using Make = PyObject* (*)(ScopeSource*, const ScopeName&, PyObject*, const Place&);

PyObject* make_on(Make new_object, ScopeSource* source, PyObject* name, PyObject* stream,
                  const Place& place) {
  if (NameCache::Known* known = source->names.find(name)) {
    return new_object(source, {known->name, known->id, known}, stream, place);
  }
  SiteTable::Id id = 0;
  PyObject* exact = checked_name(source->names, source->recorder->sites(), name, id);
  PyObject* made =
      exact == nullptr ? nullptr : new_object(source, {exact, id, nullptr}, stream, place);
  Py_XDECREF(exact);
  return made;
}

// For a name seen for the first time, or for a chosen stream.
[[gnu::noinline]] PyObject* make_otherwise(Make new_object, ScopeSource* source, PyObject* name,
                                           PyObject* stream) {
  Place place;
  if (stream != nullptr && !parse_stream(stream, place)) {
    return nullptr;
  }
  return make_on(new_object, source, name, stream, place);
}

[[gnu::noinline]] PyObject* make_over_streams(PyObject* source, PyObject* name, PyObject* streams) {
  Place place;
  PyObject* owner = parse_streams(streams, place);
  if (owner == nullptr) {
    return nullptr;
  }
  PyObject* made = make_on(&new_scope, reinterpret_cast<ScopeSource*>(source), name, owner, place);
  Py_DECREF(owner);
  return made;
}

[[gnu::hot]] PyObject* make(Make new_object, PyObject* source_object, PyObject* name,
                            PyObject* stream) {
  auto* source = reinterpret_cast<ScopeSource*>(source_object);
  const bool counts = source->mode != ScopeMode::kOff && source->recorder->shares_boundaries();
  if (counts) {
    source->recorder->enter_call();
  }
  NameCache::Known* known = source->names.find(name);
  if (known == nullptr || stream != nullptr) {
    // May run any Python code. Without leave_call(), all of it counts as time outside.
    return make_otherwise(new_object, source, name, stream);
  }
  PyObject* made = new_object(source, {known->name, known->id, known}, nullptr, Place());
  if (counts) {
    source->recorder->leave_call();
  }
  return made;
}

// Whether two argument names are equal. Names in source code are interned, so comparing pointers is
// nearly always enough.
bool is_word(PyObject* keyword, PyObject* word) noexcept {
  return keyword == word || PyUnicode_Compare(keyword, word) == 0;
}

// Reads (name, *, stream=None, streams=None). None is answered as null. `streams` is null for a
// function that does not take it.
bool parse_arguments(const char* function, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords, PyObject** name, PyObject** stream, PyObject** streams) {
  const char* signature =
      streams == nullptr ? "name, *, stream=None" : "name, *, stream=None, streams=None";
  const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  *name = count == 1 ? arguments[0] : nullptr;
  *stream = nullptr;
  for (Py_ssize_t i = 0; i < keyword_count; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    if (is_word(keyword, g_stream_word)) {
      *stream = arguments[count + i] == Py_None ? nullptr : arguments[count + i];
    } else if (streams != nullptr && is_word(keyword, g_streams_word)) {
      *streams = arguments[count + i] == Py_None ? nullptr : arguments[count + i];
    } else if (*name == nullptr && is_word(keyword, g_name_word)) {
      *name = arguments[count + i];
    } else {
      PyErr_Format(PyExc_TypeError, "%s(%s) got an unexpected argument %R; it takes a name and %s",
                   function, signature, keyword,
                   streams == nullptr ? "stream=" : "stream= or streams=");
      return false;
    }
  }
  if (streams != nullptr && *streams != nullptr && *stream != nullptr) {
    PyErr_Format(PyExc_TypeError,
                 "%s(%s) got both stream and streams; put the stream into streams=", function,
                 signature);
    return false;
  }
  if (*name == nullptr || count > 1) {
    PyErr_Format(PyExc_TypeError, "%s(%s) takes one name, got %zd arguments; write %s(\"name\")",
                 function, signature, count, function);
    return false;
  }
  return true;
}

// Whether the only keyword is stream=None, which decorated functions pass at each call.
bool is_no_stream(PyObject* const* arguments, PyObject* keywords) noexcept {
  return PyTuple_GET_SIZE(keywords) == 1 && PyTuple_GET_ITEM(keywords, 0) == g_stream_word &&
         arguments[1] == Py_None;
}

[[gnu::hot]] PyObject* function_scope(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                      PyObject* keywords) {
  PyObject* name = count == 1 ? arguments[0] : nullptr;
  PyObject* stream = nullptr;
  const bool is_name_only =
      count == 1 && (keywords == nullptr || is_no_stream(arguments, keywords));
  if (!is_name_only) {
    PyObject* streams = nullptr;
    if (!parse_arguments("scope", arguments, count, keywords, &name, &stream, &streams)) {
      return nullptr;
    }
    if (streams != nullptr) {
      return make_over_streams(self, name, streams);
    }
  }
  return make(&new_scope, self, name, stream);
}

PyObject* function_begin(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  PyObject* name = nullptr;
  PyObject* stream = nullptr;
  PyObject* streams = nullptr;
  if (!parse_arguments("begin", arguments, count, keywords, &name, &stream, &streams)) {
    return nullptr;
  }
  PyObject* scope = streams != nullptr ? make_over_streams(self, name, streams)
                                       : make(&new_scope, self, name, stream);
  if (scope != nullptr && !enter_scope(scope)) {
    Py_CLEAR(scope);
  }
  return scope;
}

PyObject* function_phases(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  PyObject* name = nullptr;
  PyObject* stream = nullptr;
  if (!parse_arguments("phases", arguments, count, keywords, &name, &stream, nullptr)) {
    return nullptr;
  }
  return make(&new_phases, self, name, stream);
}

PyObject* function_end(PyObject*, PyObject* token) {
  if (token == Py_None) {
    Py_RETURN_NONE;  // begin() answers None while torch.compile traces
  }
  if (!is_scope(token)) {
    PyErr_Format(PyExc_TypeError, "end() takes the token that begin() returned, got %R", token);
    return nullptr;
  }
  if (!end_scope(token)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef g_scope_def = {
    "scope", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&function_scope)),
    METH_FASTCALL | METH_KEYWORDS,
    "scope(name, *, stream=None, streams=None)\n--\n\n"
    "Time a block or a function on host and device, without waiting for either.\n\n"
    "    with fasttime.scope(\"forward\"):\n"
    "        y = model(x)\n\n"
    "    @fasttime.scope(\"decode\")\n"
    "    def decode(x): ...\n\n"
    "Device time is the time between two CUDA events on one stream. This is torch's current\n"
    "stream when the scope begins, or `stream`: a torch.cuda.Stream or a raw handle (int) on the\n"
    "current device. With `streams`, a sequence of up to 16 such streams of one device, device\n"
    "time lasts from the first begin to the last end over these streams, and a scope records two\n"
    "events on each of them. A wait that you issue on a stream before the block delays its begin.\n"
    "Host time is the time that the host spends inside the scope. Scopes nest, per thread and per\n"
    "asyncio task. Exceptions pass through, and the scope still counts. A decorated coroutine or\n"
    "generator is timed from its first step to its end.\n\n"
    "Never waits. Raises TypeError or ValueError if the name is not a non-empty str, TypeError if\n"
    "`stream` is not a stream, ValueError for streams of two devices, and RuntimeError for an\n"
    "exit without an enter."};
PyMethodDef g_begin_def = {
    "begin", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&function_begin)),
    METH_FASTCALL | METH_KEYWORDS,
    "begin(name, *, stream=None, streams=None)\n--\n\n"
    "Begin a scope if a `with` does not fit, and return a token for `end`.\n\n"
    "    token = fasttime.begin(\"request\")\n"
    "    ...\n"
    "    fasttime.end(token)\n\n"
    "Takes the arguments of `scope`, raises the same errors, and never waits. If you lose the\n"
    "token without a call to `end`, the scope counts as dropped."};
PyMethodDef g_end_def = {
    "end", &function_end, METH_O,
    "end(token)\n--\n\n"
    "End the scope that `begin` began, in any thread or task.\n\n"
    "Never waits. Raises TypeError if `token` is not a token, and RuntimeError if its scope has\n"
    "ended. `begin` returns None inside torch.compile; end(None) does nothing."};

PyMethodDef g_phases_def = {
    "phases", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&function_phases)),
    METH_FASTCALL | METH_KEYWORDS,
    "phases(name, *, stream=None)\n--\n\n"
    "Time a block, and the phases it consists of, end to end.\n\n"
    "    with fasttime.phases(\"step\") as phase:\n"
    "        phase(\"data\")\n"
    "        batch = next(batches)\n"
    "        phase(\"forward\")\n"
    "        loss = model(batch)\n\n"
    "Each call ends the previous phase and begins the next. The end of the block ends the last\n"
    "phase. phase(None) ends a phase without beginning another. The block is a scope, `step`.\n"
    "Phases are its children, such as `step/forward`. Scopes that open in a phase are children of\n"
    "the phase. A repeated name is another sample of the same phase. Time outside all phases\n"
    "counts for the block alone.\n\n"
    "Two neighbours share one CUDA event. So n phases take n + 1 events if the first call comes\n"
    "right at the beginning of the block. All phases are timed on the stream of the block.\n\n"
    "If you call phase() while a scope is open, the scope stays a child of the previous phase.\n"
    "Another thread may call phase() too, but not at the same time. Scopes in that thread are not\n"
    "children of the phase.\n\n"
    "Takes the arguments of `scope`, raises the same errors, and never waits. Raises RuntimeError\n"
    "for a phase outside the block, for entering the block twice, and for two calls at once."};

// A recorder's function is pickled with its recorder, and becomes the unpickled recorder's
// function.
PyObject* source_reduce(PyObject* object, PyObject*) {
  return reduce(reinterpret_cast<ScopeSource*>(object), "recorder", nullptr, nullptr);
}

PyMethodDef g_source_methods[] = {{"__reduce__", &source_reduce, METH_NOARGS, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
PyType_Slot g_source_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&source_dealloc)},
                                {Py_tp_methods, g_source_methods},
                                {0, nullptr}};
PyType_Spec g_source_spec = {"fasttime._C.ScopeSource", sizeof(ScopeSource), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             g_source_slots};

ScopeSource* source_of(PyObject* scope_function) {
  PyObject* self =
      PyCFunction_Check(scope_function) ? PyCFunction_GET_SELF(scope_function) : nullptr;
  if (self == nullptr || Py_TYPE(self) != g_source_type) {
    PyErr_SetString(PyExc_TypeError, "not a scope function");
    return nullptr;
  }
  return reinterpret_cast<ScopeSource*>(self);
}

}  // namespace

bool init_scope_functions() {
  g_source_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&g_source_spec));
  g_stream_word = PyUnicode_InternFromString("stream");
  g_streams_word = PyUnicode_InternFromString("streams");
  g_name_word = PyUnicode_InternFromString("name");
  return g_source_type != nullptr && g_stream_word != nullptr && g_streams_word != nullptr &&
         g_name_word != nullptr && init_context_objects() && init_context_stack() &&
         init_current_stack() && init_scope_type() && init_phases_type();
}

PyObject* make_scope_functions(PyObject* owner, Recorder& recorder) {
  static uint64_t last_number = 0;
  auto* source = PyObject_New(ScopeSource, g_source_type);
  if (source == nullptr) {
    return nullptr;
  }
  new (&source->names) NameCache();
  Py_INCREF(owner);
  source->owner = owner;
  source->recorder = &recorder;
  source->number = ++last_number;
  source->mode = ScopeMode::kOn;
  new (&source->marks) Marks();
  auto* self = reinterpret_cast<PyObject*>(source);
  PyObject* scope = PyCFunction_NewEx(&g_scope_def, self, nullptr);
  PyObject* begin = PyCFunction_NewEx(&g_begin_def, self, nullptr);
  PyObject* end = PyCFunction_NewEx(&g_end_def, self, nullptr);
  PyObject* phases = PyCFunction_NewEx(&g_phases_def, self, nullptr);
  source->scope_function = scope == nullptr ? nullptr : PyWeakref_NewRef(scope, nullptr);
  const bool made =
      source->scope_function != nullptr && begin != nullptr && end != nullptr && phases != nullptr;
  PyObject* functions = made ? PyTuple_Pack(4, scope, begin, end, phases) : nullptr;
  Py_XDECREF(scope);
  Py_XDECREF(begin);
  Py_XDECREF(end);
  Py_XDECREF(phases);
  Py_DECREF(self);
  return functions;
}

bool set_scopes_enabled(PyObject* scope_function, bool enabled) {
  ScopeSource* source = source_of(scope_function);
  if (source != nullptr) {
    source->mode = !enabled                         ? ScopeMode::kOff
                   : source->marks.begin != nullptr ? ScopeMode::kOnAndMarking
                                                    : ScopeMode::kOn;
  }
  return source != nullptr;
}

int scopes_enabled(PyObject* scope_function) {
  ScopeSource* source = source_of(scope_function);
  return source == nullptr ? -1 : (source->mode != ScopeMode::kOff ? 1 : 0);
}

bool set_scope_marks(PyObject* scope_function, PyObject* begin, PyObject* end, bool has_details) {
  ScopeSource* source = source_of(scope_function);
  if (source == nullptr) {
    return false;
  }
  const bool enabled = source->mode != ScopeMode::kOff;
  const Marks before = std::exchange(source->marks, new_marks(begin, end, has_details));
  set_scopes_enabled(scope_function, enabled);
  drop_marks(before);
  return true;
}

}  // namespace fasttime
