// SPDX-License-Identifier: BSD-3-Clause
#include "python/scope_functions.h"

#include <new>
#include <utility>

#include "python/laps_type.h"
#include "python/scope_hooks.h"
#include "python/scope_type.h"

namespace fasttime {
namespace {

PyTypeObject* g_source_type = nullptr;

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

// Fills in where to record. A torch.cuda.Stream, a raw handle on the current device, or None.
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
    // Unsigned, as a handle is an address: a negative one raises here.
    place.stream =
        reinterpret_cast<void*>(static_cast<uintptr_t>(PyLong_AsUnsignedLongLong(handle)));
    place.device = static_cast<int>(PyLong_AsLong(device));
  }
  const bool good = PyErr_Occurred() == nullptr;
  Py_XDECREF(handle);
  Py_XDECREF(device);
  if (!good) {
    PyErr_Format(
        PyExc_TypeError,
        "stream must be a torch.cuda.Stream, a raw CUDA stream handle (int) on the current "
        "device, or None for torch's current stream; got %R",
        stream);
  }
  return good;
}

using Make = PyObject* (*)(ScopeSource*, const ScopeName&, PyObject*, const Place&);

// For a name seen for the first time, or on a stream of one's choice.
[[gnu::noinline]] PyObject* make_otherwise(Make new_object, ScopeSource* source, PyObject* name,
                                           PyObject* stream) {
  Place place;
  if (stream != nullptr && !parse_stream(stream, place)) {
    return nullptr;
  }
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

[[gnu::hot]] PyObject* make(Make new_object, PyObject* source_object, PyObject* name,
                            PyObject* stream) {
  auto* source = reinterpret_cast<ScopeSource*>(source_object);
  const bool counts = source->mode != ScopeMode::kOff && source->recorder->shares_boundaries();
  if (counts) {
    source->recorder->enter_call();
  }
  NameCache::Known* known = source->names.find(name);
  if (known == nullptr || stream != nullptr) {
    // May run other code than ours. Without going out, all of it counts as time outside.
    return make_otherwise(new_object, source, name, stream);
  }
  PyObject* made = new_object(source, {known->name, known->id, known}, nullptr, Place());
  if (counts) {
    source->recorder->leave_call();
  }
  return made;
}

// (name, *, stream=None); a stream of None comes out as null.
bool parse_arguments(const char* function, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords, PyObject** name, PyObject** stream) {
  const Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  *name = count == 1 ? arguments[0] : nullptr;
  *stream = nullptr;
  for (Py_ssize_t i = 0; i < keyword_count; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    if (PyUnicode_CompareWithASCIIString(keyword, "stream") == 0) {
      *stream = arguments[count + i] == Py_None ? nullptr : arguments[count + i];
    } else if (*name == nullptr && PyUnicode_CompareWithASCIIString(keyword, "name") == 0) {
      *name = arguments[count + i];
    } else {
      PyErr_Format(PyExc_TypeError, "%s(name, *, stream=None) got an unexpected argument %R",
                   function, keyword);
      return false;
    }
  }
  if (*name == nullptr || count > 1) {
    PyErr_Format(PyExc_TypeError, "%s(name, *, stream=None) takes one name, got %zd arguments",
                 function, count);
    return false;
  }
  return true;
}

[[gnu::hot]] PyObject* function_scope(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                      PyObject* keywords) {
  PyObject* name = count == 1 ? arguments[0] : nullptr;
  PyObject* stream = nullptr;
  if ((count != 1 || keywords != nullptr) &&
      !parse_arguments("scope", arguments, count, keywords, &name, &stream)) {
    return nullptr;
  }
  return make(&new_scope, self, name, stream);
}

PyObject* function_begin(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  PyObject* name = nullptr;
  PyObject* stream = nullptr;
  if (!parse_arguments("begin", arguments, count, keywords, &name, &stream)) {
    return nullptr;
  }
  PyObject* scope = make(&new_scope, self, name, stream);
  if (scope != nullptr && !enter_scope(scope)) {
    Py_CLEAR(scope);
  }
  return scope;
}

PyObject* function_laps(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  PyObject* name = nullptr;
  PyObject* stream = nullptr;
  if (!parse_arguments("laps", arguments, count, keywords, &name, &stream)) {
    return nullptr;
  }
  return make(&new_laps, self, name, stream);
}

PyObject* function_end(PyObject*, PyObject* token) {
  if (token == Py_None) {
    Py_RETURN_NONE;  // begun where torch.compile traces: there is nothing to end
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
    "scope(name, *, stream=None)\n--\n\n"
    "Time a block or a function on host and device, without waiting for either.\n\n"
    "    with fasttime.scope(\"forward\"):\n"
    "        y = model(x)\n\n"
    "    @fasttime.scope(\"decode\")\n"
    "    def decode(x): ...\n\n"
    "Device time is what passes on the stream between two CUDA events, recorded on torch's "
    "current\n"
    "stream at the beginning, or on `stream`: a torch.cuda.Stream, or a raw handle (int) on the\n"
    "current device. Host time is what passes on the host between them. Scopes nest, by thread "
    "and\n"
    "by asyncio task. Exceptions pass through, and the scope is counted all the same. A decorated\n"
    "coroutine or generator is timed from its first step to its end.\n\n"
    "Waits for nothing. Raises TypeError or ValueError for a name that is not a non-empty str,\n"
    "TypeError for a stream of another kind, and RuntimeError for an exit without an enter."};
PyMethodDef g_begin_def = {
    "begin", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&function_begin)),
    METH_FASTCALL | METH_KEYWORDS,
    "begin(name, *, stream=None)\n--\n\n"
    "Begin a scope where a `with` does not fit; returns the token that end() takes.\n\n"
    "Arguments, errors and waiting are those of scope(). A token that is thrown away without "
    "end()\n"
    "counts as a dropped scope."};
PyMethodDef g_end_def = {
    "end", &function_end, METH_O,
    "end(token)\n--\n\n"
    "End the scope that begin() began, in any thread or task.\n\n"
    "Waits for nothing. Raises TypeError for anything but a token, RuntimeError for one that was\n"
    "ended already. None, which is what begin() returns inside torch.compile, does nothing."};

PyMethodDef g_laps_def = {
    "laps", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&function_laps)),
    METH_FASTCALL | METH_KEYWORDS,
    "laps(name, *, stream=None)\n--\n\n"
    "Time a block and, end to end, the sections it consists of; each is named as it ends.\n\n"
    "    with fasttime.laps(\"step\") as lap:\n"
    "        batch = next(loader)\n"
    "        lap(\"data\")\n"
    "        loss = model(batch)\n"
    "        lap(\"forward\")\n\n"
    "Reports as the scope `step` with the sections as its children. Where one section ends the "
    "next\n"
    "begins, on one CUDA event: n sections take n + 1, and nothing lies between them. What comes\n"
    "after the last lap is in the block's time only. Scopes inside are children of the block, not "
    "of\n"
    "a section. All sections are on one stream.\n\n"
    "Arguments, waiting and errors are those of scope(); RuntimeError for a lap outside the "
    "block."};

// A function of a recorder is pickled as that of whatever this becomes.
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
  return g_source_type != nullptr && init_scope_type() && init_laps_type();
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
  PyObject* laps = PyCFunction_NewEx(&g_laps_def, self, nullptr);
  source->scope_function = scope == nullptr ? nullptr : PyWeakref_NewRef(scope, nullptr);
  const bool made =
      source->scope_function != nullptr && begin != nullptr && end != nullptr && laps != nullptr;
  PyObject* functions = made ? PyTuple_Pack(4, scope, begin, end, laps) : nullptr;
  Py_XDECREF(scope);
  Py_XDECREF(begin);
  Py_XDECREF(end);
  Py_XDECREF(laps);
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

bool set_scope_marks(PyObject* scope_function, PyObject* begin, PyObject* end) {
  ScopeSource* source = source_of(scope_function);
  if (source == nullptr) {
    return false;
  }
  const bool enabled = source->mode != ScopeMode::kOff;
  const Marks before = std::exchange(source->marks, new_marks(begin, end));
  set_scopes_enabled(scope_function, enabled);
  drop_marks(before);
  return true;
}

}  // namespace fasttime
