// SPDX-License-Identifier: BSD-3-Clause
#include "core/site_table.h"

#include <cstdio>
#include <functional>

namespace fasttime {
namespace {

constexpr size_t kFirstSlots = 128;

uint64_t key_of(SiteTable::Id parent, SiteTable::Id name) noexcept {
  return (static_cast<uint64_t>(parent) << 32) | name;
}

size_t scatter(uint64_t key) noexcept {
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15ull) >> 32);
}

// Cuts between two UTF-8 characters, so that the result can be decoded.
std::string shortened(std::string_view name) {
  size_t length = SiteTable::kMaxNameBytes - 20;
  while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80) {
    --length;
  }
  char digest[24];
  std::snprintf(digest, sizeof(digest), "...#%016zx", std::hash<std::string_view>{}(name));
  return std::string(name.substr(0, length)) + digest;
}

}  // namespace

SiteTable::SiteTable() : sites_(new Site[kMaxSites]) {
  indexes_.push_back(std::make_unique<Index>(kFirstSlots));
  index_.store(indexes_.back().get());
  names_.push_back(&name_ids_.emplace("", kRoot).first->first);
  names_.push_back(&name_ids_.emplace("(more)", kMore).first->first);
  sites_[kRoot] = {kRoot, 0};
  sites_[kMore] = {kRoot, kMore};
  insert(*indexes_.back(), key_of(kRoot, kMore), kMore);
  count_.store(2);
}

SiteTable::Id SiteTable::intern(std::string_view name) {
  std::string stored = name.size() > kMaxNameBytes ? shortened(name) : std::string(name);
  const std::lock_guard<std::mutex> hold(mutex_);
  const auto found = name_ids_.find(stored);
  if (found != name_ids_.end()) {
    return found->second;
  }
  if (names_.size() == kMaxSites) {
    return kMore;
  }
  if (names_.size() == names_.capacity()) {
    names_.reserve(2 * names_.size());  // first: nothing may fail once the name is added
  }
  const auto added = name_ids_.emplace(std::move(stored), static_cast<Id>(names_.size())).first;
  names_.push_back(&added->first);
  return added->second;
}

[[gnu::hot]] SiteTable::Id SiteTable::find(const Index& index, uint64_t key) noexcept {
  for (size_t i = scatter(key);; ++i) {
    const Slot& slot = index.slots[i & index.mask];
    const uint64_t found = slot.key.load(std::memory_order_acquire);
    if (found == key) {
      return slot.id.load(std::memory_order_relaxed);
    }
    if (found == 0) {
      return kRoot;
    }
  }
}

void SiteTable::insert(Index& index, uint64_t key, Id id) noexcept {
  size_t i = scatter(key);
  while (index.slots[i & index.mask].key.load(std::memory_order_relaxed) != 0) {
    ++i;
  }
  Slot& slot = index.slots[i & index.mask];
  slot.id.store(id, std::memory_order_relaxed);
  slot.key.store(key, std::memory_order_release);
}

[[gnu::hot]] SiteTable::Id SiteTable::child(Id parent, Id name) {
  if (name == kMore) {
    refused_.fetch_add(1, std::memory_order_relaxed);
  }
  const uint64_t key = key_of(parent, name);
  if (const Id known = find(*index_.load(std::memory_order_acquire), key)) {
    return known;
  }
  const std::lock_guard<std::mutex> hold(mutex_);
  Index* index = index_.load(std::memory_order_relaxed);
  if (const Id known = find(*index, key)) {
    return known;
  }
  const size_t count = count_.load(std::memory_order_relaxed);
  if (count == kMaxSites) {
    if (name != kMore) {
      refused_.fetch_add(1, std::memory_order_relaxed);
    }
    return kMore;
  }
  if (2 * (count + 1) > index->mask + 1) {
    auto larger = std::make_unique<Index>(2 * (index->mask + 1));
    for (Id site = 1; site < count; ++site) {
      insert(*larger, key_of(sites_[site].parent, sites_[site].name), site);
    }
    indexes_.push_back(std::move(larger));
    index = indexes_.back().get();
    index_.store(index, std::memory_order_release);
  }
  const Id site = static_cast<Id>(count);
  sites_[site] = {parent, name};
  // Before the key: a reader that finds the site may ask for its parent.
  count_.store(count + 1, std::memory_order_release);
  insert(*index, key, site);
  return site;
}

std::string SiteTable::name_of(Id site) const {
  const std::lock_guard<std::mutex> hold(mutex_);
  return *names_[sites_[site].name];
}

}  // namespace fasttime
