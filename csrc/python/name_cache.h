// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/site_table.h"

namespace fasttime {

// Maps a Python str to the id of a name. It compares the hash that the str keeps; nearly always the
// str is the same object as at the first call. Names lie in a small table, and in a dict once the
// table is crowded. Needs the GIL. Bounded like the site table.
class NameCache {
 public:
  NameCache() = default;
  ~NameCache();
  NameCache(const NameCache&) = delete;
  NameCache& operator=(const NameCache&) = delete;

  // A name with the site that it named last. Usually it names the same site again.
  struct Known {
    PyObject* name = nullptr;  // owned; a non-empty exact str
    Py_hash_t hash = 0;
    SiteTable::Id id = 0;
    SiteTable::Id parent = kNoParent;
    SiteTable::Id site = SiteTable::kRoot;                            // under `parent`
    static constexpr SiteTable::Id kNoParent = SiteTable::kMaxSites;  // no site yet
  };

  // Null if the table does not have the name, or if `name` is not an exact str. The result lives as
  // long as this object.
  Known* find(PyObject* name) noexcept {
    if (!PyUnicode_CheckExact(name)) {
      return nullptr;
    }
    const Py_hash_t hash = hash_of(name);
    Known& first = slots_[slot_of(hash)];
    return first.name == name ? &first : find_further(name, hash);
  }

  // For an exact str that find() does not find. 0 with MemoryError set.
  SiteTable::Id find_or_add(SiteTable& sites, PyObject* name);

 private:
  static constexpr size_t kSlots = 1024;
  static constexpr size_t kProbes = 4;

  static size_t slot_of(Py_hash_t hash) noexcept { return static_cast<size_t>(hash) % kSlots; }
  // An exact str keeps its hash after the first call. Cannot fail.
  static Py_hash_t hash_of(PyObject* name) noexcept {
    const Py_hash_t hash = reinterpret_cast<PyASCIIObject*>(name)->hash;
    return hash != -1 ? hash : PyObject_Hash(name);
  }

  Known* find_further(PyObject* name, Py_hash_t hash) noexcept;
  void remember(PyObject* name, SiteTable::Id id);

  std::array<Known, kSlots> slots_;
  PyObject* crowded_out_ = nullptr;  // a dict of ids, made when first needed
};

// The site of a name under `parent`. `known` belongs to the name, or is null. Never raises: without
// memory the answer is SiteTable::kMore, as for sites past the bound.
SiteTable::Id look_up_site(SiteTable& sites, NameCache::Known* known, SiteTable::Id parent,
                           SiteTable::Id name_id) noexcept;
inline SiteTable::Id site_of(SiteTable& sites, NameCache::Known* known, SiteTable::Id parent,
                             SiteTable::Id name_id) noexcept {
  return known != nullptr && known->parent == parent ? known->site
                                                     : look_up_site(sites, known, parent, name_id);
}

// The name of a scope or phase as an exact str, with its id, for names that find() does not find. A
// new reference, or null with TypeError or ValueError set if `name` is not a non-empty str.
PyObject* checked_name(NameCache& names, SiteTable& sites, PyObject* name, SiteTable::Id& id);

}  // namespace fasttime
