// SPDX-License-Identifier: BSD-3-Clause
#include "python/name_cache.h"

#include <new>
#include <string_view>

namespace fasttime {

NameCache::~NameCache() {
  for (Known& slot : slots_) {
    Py_XDECREF(slot.name);
  }
  Py_XDECREF(crowded_out_);
}

SiteTable::Id NameCache::find_or_add(SiteTable& sites, PyObject* name) {
  if (PyObject* known =
          crowded_out_ == nullptr ? nullptr : PyDict_GetItemWithError(crowded_out_, name)) {
    return static_cast<SiteTable::Id>(PyLong_AsUnsignedLong(known));
  }
  if (PyErr_Occurred()) {
    return 0;
  }
  // Lone surrogates have no UTF-8. They are stored as they are, and come back unchanged.
  PyObject* bytes = PyUnicode_AsEncodedString(name, "utf-8", "surrogatepass");
  if (bytes == nullptr) {
    return 0;
  }
  SiteTable::Id id = 0;
  try {
    id = sites.intern(
        std::string_view(PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes))));
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  Py_DECREF(bytes);
  // Refused and long names are looked up each time, so that memory stays bounded.
  if (id != 0 && id != SiteTable::kMore &&
      static_cast<size_t>(PyUnicode_GET_LENGTH(name)) <= SiteTable::kMaxNameBytes) {
    remember(name, id);
  }
  return id;
}

[[gnu::hot]] NameCache::Known* NameCache::find_further(PyObject* name, Py_hash_t hash) noexcept {
  for (size_t i = 0, slot = slot_of(hash); i < kProbes; ++i, slot = (slot + 1) % kSlots) {
    Known& known = slots_[slot];
    if (known.name == name ||
        (known.name != nullptr && known.hash == hash && PyUnicode_Compare(known.name, name) == 0)) {
      return &known;
    }
  }
  return nullptr;
}

void NameCache::remember(PyObject* name, SiteTable::Id id) {
  const Py_hash_t hash = hash_of(name);
  for (size_t i = 0, slot = slot_of(hash); i < kProbes; ++i, slot = (slot + 1) % kSlots) {
    if (slots_[slot].name == nullptr) {
      Py_INCREF(name);
      slots_[slot] = {name, hash, id, Known::kNoParent, SiteTable::kRoot};
      return;
    }
  }
  if (crowded_out_ == nullptr) {
    crowded_out_ = PyDict_New();
  }
  PyObject* value = PyLong_FromUnsignedLong(id);
  // Without memory, too, the name is looked up each time.
  if (crowded_out_ == nullptr || value == nullptr ||
      PyDict_SetItem(crowded_out_, name, value) < 0) {
    PyErr_Clear();
  }
  Py_XDECREF(value);
}

SiteTable::Id look_up_site(SiteTable& sites, NameCache::Known* known, SiteTable::Id parent,
                           SiteTable::Id name_id) noexcept {
  SiteTable::Id site = SiteTable::kMore;
  try {
    site = sites.child(parent, name_id);
  } catch (const std::bad_alloc&) {
  }
  if (known != nullptr && site != SiteTable::kMore) {  // not kMore: each refusal counts
    known->parent = parent;
    known->site = site;
  }
  return site;
}

PyObject* checked_name(NameCache& names, SiteTable& sites, PyObject* name, SiteTable::Id& id) {
  if (!PyUnicode_Check(name)) {
    PyErr_Format(
        PyExc_TypeError, "the name of a scope or phase must be a str, got %R of type %s%s", name,
        Py_TYPE(name)->tp_name,
        PyCallable_Check(name) ? "; to time a function, write @fasttime.scope(\"name\")" : "");
    return nullptr;
  }
  if (PyUnicode_GET_LENGTH(name) == 0) {
    PyErr_SetString(PyExc_ValueError,
                    "the name of a scope or phase must not be empty, got ''; write a name such as "
                    "\"forward\"");
    return nullptr;
  }
  PyObject* exact = name;
  if (PyUnicode_CheckExact(name)) {
    Py_INCREF(name);
  } else if ((exact = PyUnicode_FromObject(name)) == nullptr) {
    return nullptr;
  }
  const NameCache::Known* known = names.find(exact);  // the exact str may be known
  id = known != nullptr ? known->id : names.find_or_add(sites, exact);
  if (id == 0) {
    Py_CLEAR(exact);
  }
  return exact;
}

}  // namespace fasttime
