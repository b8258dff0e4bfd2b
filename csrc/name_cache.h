// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "site_table.h"

namespace fasttime {

// From a Python str to the id of a name: by address for interned strings, which literals are; by
// value for others. An interned str lives as long as we hold it, so its address is its identity.
// Needs the GIL. Bounded by the site table's own bound.
class NameCache {
 public:
  NameCache() = default;
  ~NameCache();
  NameCache(const NameCache&) = delete;
  NameCache& operator=(const NameCache&) = delete;

  // A name known by its address, with the site that it named last: mostly it names that again.
  struct alignas(32) Known {
    PyObject* name = nullptr;  // owned; an exact str that is not empty
    SiteTable::Id id = 0;
    SiteTable::Id parent = 0;
    SiteTable::Id site = SiteTable::kRoot;  // the root: none yet
  };

  // By address alone, without a look at what `name` is; null where it is not known so. What is
  // found lives as long as this.
  Known* find(PyObject* name) noexcept {
    for (size_t i = 0, slot = slot_of(name); i < kProbes; ++i, slot = (slot + 1) % kSlots) {
      if (slots_[slot].name == name) {
        return &slots_[slot];
      }
    }
    return nullptr;
  }

  // `name` is an exact str. 0 with an exception set where memory is short.
  SiteTable::Id find_by_value(SiteTable& sites, PyObject* name);

 private:
  static constexpr size_t kSlots = 1024;
  static constexpr size_t kProbes = 4;

  static size_t slot_of(PyObject* name) {
    return (reinterpret_cast<uintptr_t>(name) >> 4) % kSlots;
  }

  void remember_address(PyObject* name, SiteTable::Id id);

  std::array<Known, kSlots> slots_;
  PyObject* by_value_ = nullptr;  // a dict, made when first needed
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
