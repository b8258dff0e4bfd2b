// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/handle_series.h"
#include "core/sample.h"
#include "core/sample_history.h"
#include "core/series.h"
#include "core/site_table.h"
#include "host/spin_lock.h"

namespace fasttime {

// The statistics of one site. A value, copied out for a report.
struct SiteSummary {
  std::array<uint64_t, kStatusCount> counts{};  // by Status
  uint64_t shared_boundaries = 0;
  uint64_t lost = 0;  // replays of graphs whose times were not read
  Series host;        // every scope that was ended
  Series device;      // scopes with status ok
  // Backlog checks, by result, and what else tells the bottleneck.
  uint64_t backlog_near = 0;
  uint64_t backlog_above = 0;
  uint64_t backlog_between = 0;
  double backlog_total_ns = 0;     // sum over all checks
  uint64_t device_outlasted = 0;   // ok scopes whose device time clearly exceeded their host time
  uint64_t host_took_as_long = 0;  // checks that were above, with host time >= 0.9 device time
};

// A SiteSummary that many threads add to, and the last samples if some are to be kept. Thread-safe;
// waits only for its spin lock.
class alignas(64) SiteStatistics {
 public:
  // Counts the sample, unless it began before the last reset(). Keeps it among the last `keep`.
  void add(const Sample& sample, size_t keep) noexcept;
  // Counts replays whose times were lost.
  void add_lost(uint32_t epoch, uint64_t count) noexcept;
  // Fetches what add() needs into the cache.
  void prefetch() const noexcept;
  // Whether a scope of this site that ended at `host_end_ns` should get a backlog check of its own.
  // Never waits.
  bool wants_check(int64_t host_end_ns) const noexcept {
    return host_end_ns > check_after_ns_.load(std::memory_order_relaxed);
  }

  SiteSummary copy() const;
  // Copies and clears in one step, so each sample is in exactly one such copy.
  SiteSummary take();
  // Forgets everything, and from now on ignores samples from before `epoch`.
  void reset(uint32_t epoch) noexcept;
  // Keeps at most the last `keep` samples, and frees the memory of the others.
  void trim(size_t keep) noexcept;
  // The kept samples, oldest first.
  std::vector<Sample> recent() const;
  // The same, and forgets them in one step, so each kept sample is in exactly one such answer.
  std::vector<Sample> take_recent();

 private:
  // Every site gets this share of the backlog checks. A check costs one reading, so a sample costs
  // up to a sixteenth of a reading more, and a site up to 50 readings per second.
  static constexpr uint32_t kCheckEvery = 16;
  static constexpr int64_t kCheckAgeNs = 20'000'000;

  // Returns the old history, so that the caller can free it without the lock.
  SampleHistory clear(uint32_t epoch) noexcept;

  mutable SpinLock lock_;  // guards everything below; held for one update or, by a report, one copy
  // A scope that ends later than this gets a check: kCheckAgeNs after the last check (before any
  // check, after the first sample), and at once after kCheckEvery unchecked samples. Written under
  // the lock, read without it.
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  std::atomic<int64_t> check_after_ns_{kNever};
  uint32_t unchecked_ = 0;  // samples with device time since the last check, which counts as one
  SiteSummary summary_;
  uint32_t epoch_ = 0;
  SampleHistory recent_;
};

// The statistics of all sites of a recorder, by site id. Thread-safe. Allocated in blocks at first
// use.
class StatisticsTable {
 public:
  StatisticsTable() = default;
  ~StatisticsTable();
  StatisticsTable(const StatisticsTable&) = delete;
  StatisticsTable& operator=(const StatisticsTable&) = delete;

  void add(Sample sample, const Nesting& nesting = {}) noexcept {
    note(nesting, sample);
    if (SiteStatistics* statistics = at(sample.site)) {
      statistics->add(sample, keep());
    }
  }
  // Counts what a handle needs of a sample, before the sample is added. May change its times.
  void note(const Nesting& nesting, Sample& sample) noexcept {
    if (nesting.stretch == Stretch::kNone) {
      return;
    }
    if (HandleSeries* const handle = handle_series()) {
      handle->add(nesting, sample);
    }
  }
  // Makes note() count. Throws std::bad_alloc.
  void count_for_handle();
  HandleSeries* handle_series() const noexcept { return handle_.load(std::memory_order_acquire); }
  void add_lost(SiteTable::Id site, uint32_t epoch, uint64_t count) noexcept {
    if (SiteStatistics* statistics = at(site)) {
      statistics->add_lost(epoch, count);
    }
  }
  // The statistics of a site, made if they do not exist yet; null if there is no memory.
  SiteStatistics* at(SiteTable::Id site) noexcept {
    Block* block = blocks_[site / kBlock].load(std::memory_order_acquire);
    if (block == nullptr) {
      block = make_block(site / kBlock);
    }
    return block == nullptr ? nullptr : &(*block)[site % kBlock];
  }
  // How many samples SiteStatistics::add() keeps.
  size_t keep() const noexcept { return keep_.load(std::memory_order_relaxed); }
  void prefetch(SiteTable::Id site) const noexcept {
    if (const SiteStatistics* statistics = find(site)) {
      statistics->prefetch();
    }
  }
  // Null if no site in the block of this site has ever had a sample.
  SiteStatistics* find(SiteTable::Id site) const noexcept {
    Block* block = blocks_[site / kBlock].load(std::memory_order_acquire);
    return block == nullptr ? nullptr : &(*block)[site % kBlock];
  }
  void reset(uint32_t epoch) noexcept;
  // For the child of a fork: forgets everything and frees nothing, since a block may be half
  // written.
  void forget() noexcept;

  // Sets how many samples to keep for each site.
  void set_keep(size_t count) noexcept;

 private:
  static constexpr size_t kBlock = 64;
  using Block = std::array<SiteStatistics, kBlock>;

  [[gnu::cold]] Block* make_block(size_t index) noexcept;

  // The release pairs with the acquires above.
  std::atomic<HandleSeries*> handle_{nullptr};
  // The release on a block pairs with the acquire in find().
  std::atomic<size_t> keep_{0};
  std::atomic<uint32_t> epoch_{0};
  std::array<std::atomic<Block*>, SiteTable::kMaxSites / kBlock> blocks_{};
};

}  // namespace fasttime
