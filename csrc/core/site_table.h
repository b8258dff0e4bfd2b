// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fasttime {

// Names the places in the code that are timed. A site is a name under a parent site. Names and
// sites are small integers that never change their meaning. The table only grows.
//
// Thread-safe. child() of a known pair reads without a lock; all other calls take a mutex. Calls
// that add may throw std::bad_alloc and then leave the table unchanged.
//
// Bounded: beyond kMaxSites, new pairs map to one site named "(more)" and new names to one such
// name. A program that generates names keeps the sites it started with.
class SiteTable {
 public:
  using Id = uint32_t;
  static constexpr Id kRoot = 0;  // the parent of top-level sites; not a site itself
  static constexpr Id kMore = 1;
  static constexpr size_t kMaxSites = 8192;
  static constexpr size_t kMaxNameBytes = 256;

  SiteTable();

  // The id of a name; its bytes are kept unchanged. The end of a name longer than kMaxNameBytes is
  // replaced by a digest of the whole name, so that two long names stay different.
  Id intern(std::string_view name);

  // The site for this name under `parent`.
  Id child(Id parent, Id name);

  size_t size() const noexcept { return count_.load(std::memory_order_acquire); }
  Id parent_of(Id site) const noexcept { return sites_[site].parent; }
  std::string name_of(Id site) const;
  // How many calls of child() got "(more)" because of the bound, for the name or for the site.
  uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

  // The mutex, for a fork: taken before the fork, released after it in both processes.
  std::mutex& mutex() noexcept { return mutex_; }

 private:
  struct Site {
    Id parent;
    Id name;
  };

  // Open addressing, read without a lock. The upper half of a key is the parent, the lower half the
  // name. Names start at 1, so a key of 0 is an empty slot. The release on a key pairs with the
  // acquire in find().
  struct Slot {
    std::atomic<uint64_t> key{0};
    std::atomic<Id> id{0};
  };
  struct Index {
    explicit Index(size_t count) : mask(count - 1), slots(count) {}
    size_t mask;
    std::vector<Slot> slots;
  };

  static Id find(const Index& index, uint64_t key) noexcept;
  static void insert(Index& index, uint64_t key, Id id) noexcept;

  mutable std::mutex mutex_;  // guards names, and writes to everything else
  std::unordered_map<std::string, Id> name_ids_;
  std::vector<const std::string*> names_;  // by name id; the strings live in name_ids_
  std::unique_ptr<Site[]> sites_;          // by site id; has room for all sites, so it never moves
  std::atomic<size_t> count_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<Index*> index_{nullptr};
  std::vector<std::unique_ptr<Index>> indexes_;  // all of them: readers may use an old one
};

}  // namespace fasttime
