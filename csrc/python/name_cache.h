// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/site_table.h"

namespace fasttime {

// From a Python str to the id of a name, by value: by the hash that the str keeps, and most often
// it is the very object that was seen first. The first names have a place in a small table, those
// that come when it is crowded are looked up in a dict. Needs the GIL. Bounded by the site table's
// own bound.
class NameCache {
 public:
  NameCache() = default;
  ~NameCache();
  NameCache(const NameCache&) = delete;
  NameCache& operator=(const NameCache&) = delete;

  // A name with the site that it named last: mostly it names that again.
  struct Known {
    PyObject* name = nullptr;  // owned; an exact str that is not empty
    Py_hash_t hash = 0;
    SiteTable::Id id = 0;
    SiteTable::Id parent = 0;
    SiteTable::Id site = SiteTable::kRoot;  // the root: none yet
  };

  // Null where the table does not have it, and where `name` is no exact str. What is found lives as
  // long as this.
  Known* find(PyObject* name) noexcept {
    if (!PyUnicode_CheckExact(name)) {
      return nullptr;
    }
    const Py_hash_t hash = hash_of(name);
    Known& first = slots_[slot_of(hash)];
    return first.name == name ? &first : find_further(name, hash);
  }

  // For an exact str that find() does not have. 0 with an exception set where memory is short.
  SiteTable::Id find_or_add(SiteTable& sites, PyObject* name);

 private:
  static constexpr size_t kSlots = 1024;
  static constexpr size_t kProbes = 4;

  static size_t slot_of(Py_hash_t hash) noexcept { return static_cast<size_t>(hash) % kSlots; }
  // Of an exact str, which keeps it once it was asked for; cannot fail.
  static Py_hash_t hash_of(PyObject* name) noexcept {
    const Py_hash_t hash = reinterpret_cast<PyASCIIObject*>(name)->hash;
    return hash != -1 ? hash : PyObject_Hash(name);
  }

  Known* find_further(PyObject* name, Py_hash_t hash) noexcept;
  void remember(PyObject* name, SiteTable::Id id);

  std::array<Known, kSlots> slots_;
  PyObject* crowded_out_ = nullptr;  // a dict of ids, made when first needed
};

// The site of a name under `parent`. `known` is the name's, or null. Never raises: where memory is
// short, what is measured counts with those past the bound.
SiteTable::Id look_up_site(SiteTable& sites, NameCache::Known* known, SiteTable::Id parent,
                           SiteTable::Id name_id) noexcept;
inline SiteTable::Id site_of(SiteTable& sites, NameCache::Known* known, SiteTable::Id parent,
                             SiteTable::Id name_id) noexcept {
  return known != nullptr && known->site != SiteTable::kRoot && known->parent == parent
             ? known->site
             : look_up_site(sites, known, parent, name_id);
}

// The name of a scope as an exact str, a new reference, with its id. Null with TypeError or
// ValueError set where `name` is not a non-empty str. For names that find() does not know.
PyObject* checked_name(NameCache& names, SiteTable& sites, PyObject* name, SiteTable::Id& id);

}  // namespace fasttime
