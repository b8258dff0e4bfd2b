// SPDX-License-Identifier: BSD-3-Clause
#include "core/statistics.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace fasttime {

namespace {

// Epochs wrap around.
bool is_before(uint32_t epoch, uint32_t other) noexcept {
  return static_cast<int32_t>(epoch - other) < 0;
}

}  // namespace

[[gnu::hot]] void SiteStatistics::add(const Sample& sample, size_t keep) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (is_before(sample.epoch, epoch_)) {
    return;
  }
  if (sample.epoch != epoch_) {  // a reset is under way and has not reached this site yet
    clear(sample.epoch);
  }
  SiteSummary& summary = summary_;
  ++summary.counts[static_cast<size_t>(sample.status)];
  summary.shared_boundaries += sample.shares_boundary ? 1 : 0;
  const auto host_ns = static_cast<double>(sample.host_ns);
  const bool has_host_time = sample.host_ns != kNoHostTime;
  if (has_host_time) {
    summary.host.add(sample.host_ns);
  }
  if (sample.status == Status::kOk) {
    summary.device.add(static_cast<int64_t>(sample.device_ns));
    if (has_host_time) {
      if (sample.device_ns - host_ns > backlog_threshold_ns(sample.device_ns)) {
        ++summary.device_outlasted;
      }
      if (++unchecked_ == 1) {
        unchecked_ = 2;  // counts from here as after a check
        check_after_ns_.store(sample.host_begin_ns + sample.host_ns + kCheckAgeNs,
                              std::memory_order_relaxed);
      } else if (unchecked_ == kCheckEvery + 1) {
        check_after_ns_.store(0, std::memory_order_relaxed);
      }
    }
  }
  if (sample.backlog != Backlog::kNotChecked) {
    unchecked_ = 1;
    check_after_ns_.store(sample.host_begin_ns + sample.host_ns + kCheckAgeNs,
                          std::memory_order_relaxed);
    summary.backlog_near += sample.backlog == Backlog::kNear ? 1 : 0;
    summary.backlog_above += sample.backlog == Backlog::kAbove ? 1 : 0;
    summary.backlog_between += sample.backlog == Backlog::kBetween ? 1 : 0;
    summary.backlog_total_ns += static_cast<double>(sample.backlog_ns);
    if (sample.backlog == Backlog::kAbove && host_ns >= 0.9 * sample.device_ns) {
      ++summary.host_took_as_long;
    }
  }
  if (keep != 0) {
    recent_.add(sample, keep);
  }
}

void SiteStatistics::add_lost(uint32_t epoch, uint64_t count) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (is_before(epoch, epoch_)) {
    return;
  }
  if (epoch != epoch_) {
    clear(epoch);
  }
  summary_.lost += count;
}

[[gnu::hot]] void SiteStatistics::prefetch() const noexcept {
  __builtin_prefetch(&lock_, 1);
  __builtin_prefetch(&summary_, 1);
  __builtin_prefetch(&summary_.host, 1);
  __builtin_prefetch(&summary_.device, 1);
}

SiteSummary SiteStatistics::copy() const {
  const std::lock_guard<SpinLock> hold(lock_);
  return summary_;
}

SiteSummary SiteStatistics::take() {
  const std::lock_guard<SpinLock> hold(lock_);
  SiteSummary taken = std::move(summary_);
  summary_ = SiteSummary{};
  return taken;
}

void SiteStatistics::reset(uint32_t epoch) noexcept {
  SampleHistory freed;  // declared before the lock, so freed after it
  const std::lock_guard<SpinLock> hold(lock_);
  if (is_before(epoch_, epoch)) {
    freed = clear(epoch);
  }
}

SampleHistory SiteStatistics::clear(uint32_t epoch) noexcept {
  summary_ = SiteSummary{};
  unchecked_ = 0;
  check_after_ns_.store(kNever, std::memory_order_relaxed);
  epoch_ = epoch;
  return std::move(recent_);
}

void SiteStatistics::trim(size_t keep) noexcept {
  SampleHistory freed;  // declared before the lock, so freed after it
  const std::lock_guard<SpinLock> hold(lock_);
  freed = recent_.drop_all_but(keep);
}

std::vector<Sample> SiteStatistics::recent() const {
  std::vector<Sample> ordered;
  size_t room = 0;
  do {  // allocates outside the lock, and again if samples were added meanwhile
    ordered.reserve(room);
    const std::lock_guard<SpinLock> hold(lock_);
    room = recent_.size();
    if (room <= ordered.capacity()) {
      recent_.copy_to(ordered);
    }
  } while (room > ordered.capacity());
  return ordered;
}

std::vector<Sample> SiteStatistics::take_recent() {
  SampleHistory taken;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    taken = std::move(recent_);
  }
  std::vector<Sample> ordered;
  ordered.reserve(taken.size());
  taken.copy_to(ordered);
  return ordered;
}

StatisticsTable::~StatisticsTable() {
  for (auto& slot : blocks_) {
    delete slot.load();
  }
  delete handle_.load();
}

void StatisticsTable::count_for_handle() {
  if (handle_series() == nullptr) {
    handle_.store(new HandleSeries, std::memory_order_release);
  }
}

StatisticsTable::Block* StatisticsTable::make_block(size_t index) noexcept {
  auto* made = new (std::nothrow) Block;
  Block* other = nullptr;
  if (made == nullptr) {
    return nullptr;
  }
  if (!blocks_[index].compare_exchange_strong(other, made)) {
    delete made;
    return other;
  }
  // After publishing the block: either this call sees the epoch of a concurrent reset, or that
  // reset sees the block.
  for (SiteStatistics& site : *made) {
    site.reset(epoch_.load());
  }
  return made;
}

void StatisticsTable::reset(uint32_t epoch) noexcept {
  epoch_.store(epoch);
  if (HandleSeries* handle = handle_series()) {
    handle->modules.reset(epoch);
    handle->steps.reset(epoch);
  }
  for (auto& slot : blocks_) {
    if (Block* block = slot.load()) {
      for (SiteStatistics& site : *block) {
        site.reset(epoch);
      }
    }
  }
}

void StatisticsTable::set_keep(size_t count) noexcept {
  keep_.store(count, std::memory_order_relaxed);
  for (auto& slot : blocks_) {
    if (Block* block = slot.load(std::memory_order_acquire)) {
      for (SiteStatistics& site : *block) {
        site.trim(count);
      }
    }
  }
}

void StatisticsTable::forget() noexcept {
  for (auto& slot : blocks_) {
    slot.store(nullptr, std::memory_order_relaxed);
  }
  if (handle_series() != nullptr) {
    handle_.store(new (std::nothrow) HandleSeries, std::memory_order_relaxed);
  }
}

}  // namespace fasttime
