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

  // `name` is an exact str. 0 with an exception set where memory is short.
  SiteTable::Id find(SiteTable& sites, PyObject* name) {
    for (size_t i = 0, slot = slot_of(name); i < kProbes; ++i, slot = (slot + 1) % kSlots) {
      if (slots_[slot].name == name) {
        return slots_[slot].id;
      }
    }
    return find_by_value(sites, name);
  }

 private:
  struct Slot {
    PyObject* name = nullptr;
    SiteTable::Id id = 0;
  };
  static constexpr size_t kSlots = 1024;
  static constexpr size_t kProbes = 4;

  static size_t slot_of(PyObject* name) {
    return (reinterpret_cast<uintptr_t>(name) >> 4) % kSlots;
  }

  SiteTable::Id find_by_value(SiteTable& sites, PyObject* name);
  void remember_address(PyObject* name, SiteTable::Id id);

  std::array<Slot, kSlots> slots_;
  PyObject* by_value_ = nullptr;  // a dict, made when first needed
};

// The name of a scope as an exact str, a new reference, with its id. Null with TypeError or
// ValueError set where `name` is not a non-empty str.
PyObject* checked_name(NameCache& names, SiteTable& sites, PyObject* name, SiteTable::Id& id);

}  // namespace fasttime
