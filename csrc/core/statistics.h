// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/sample.h"
#include "core/site_table.h"
#include "host/spin_lock.h"

namespace fasttime {

// Counts of durations in log-linear buckets: 64 to an octave, so that a bucket's middle is within
// 0.8 % of whatever fell into it. From 0 to 2^42 ns (73 minutes); what is longer counts as that
// long. An octave's buckets are allocated when first hit and kept, so memory is bounded by 20 KiB,
// and a site whose times stay within a few octaves uses a tenth of that.
class Histogram {
 public:
  Histogram() = default;
  Histogram(const Histogram& other);
  Histogram(Histogram&& other) noexcept;
  Histogram& operator=(Histogram&& other) noexcept;

  void add(uint64_t ns) noexcept;
  // The value in ns below which a fraction `q` of the counted lie, q in [0, 1]; 0 when empty.
  double quantile(double q) const noexcept;

  // Buckets are numbered from 0, in the order of what falls into them. Both of these may throw
  // std::bad_alloc. Which of them anything fell into, and how much:
  std::vector<std::pair<size_t, uint64_t>> filled() const;
  // What each of them counts for, in ns: the middle of what falls into it.
  static std::vector<double> middles();

 private:
  static constexpr int kSubBits = 6;
  static constexpr size_t kBuckets = size_t{1} << kSubBits;
  static constexpr int kTopBit = 42;
  static constexpr size_t kOctaves = kTopBit - kSubBits + 1;
  using Octave = std::array<uint64_t, kBuckets>;

  static double middle_of(size_t octave, size_t step) noexcept;
  Octave* find(uint32_t octave) noexcept;

  // The octave hit last, which as a rule is hit next. Null before the first.
  Octave* last_ = nullptr;
  uint32_t last_octave_ = 0;
  std::array<std::unique_ptr<Octave>, kOctaves> octaves_;
};

// Moments, range and quantiles of durations, in constant memory. Counts whole nanoseconds, so that
// sums and squares are exact, whatever their number and order. Not thread-safe.
class alignas(64) Series {
 public:
  void add(int64_t ns) noexcept;

  uint64_t count() const noexcept { return count_; }
  double total() const noexcept { return static_cast<double>(total_); }
  double mean() const noexcept { return count_ == 0 ? 0 : total() / static_cast<double>(count_); }
  // With n - 1 below the line; 0 where fewer than two were counted.
  double standard_deviation() const noexcept;
  double min() const noexcept { return static_cast<double>(min_); }
  double max() const noexcept { return static_cast<double>(max_); }
  // Within 0.8 % of a counted value, and never outside [min, max].
  double quantile(double q) const noexcept;

  // Room for the squares of what adds up to 292 years, where no one is longer than kLongest.
  __extension__ using Wide = unsigned __int128;

  // What the above are worked out from, exactly: it adds up where series are put together.
  struct Moments {
    uint64_t count;
    int64_t total_ns;
    Wide squares_ns2;
    int64_t min_ns;
    int64_t max_ns;
  };
  Moments moments() const noexcept { return {count_, total_, squares_, min_, max_}; }
  const Histogram& histogram() const noexcept { return histogram_; }

 private:
  static constexpr int64_t kLongest = int64_t{1} << 52;  // 52 days; longer ones count as that

  // In one cache line, with what an add needs of the histogram.
  Wide squares_ = 0;
  uint64_t count_ = 0;
  int64_t total_ = 0;
  int64_t min_ = 0;
  int64_t max_ = 0;
  Histogram histogram_;
};

// What is known of one site. A value; copied out for a report.
struct SiteSummary {
  std::array<uint64_t, kStatusCount> counts{};  // by Status
  uint64_t shared_boundaries = 0;
  Series host;    // every scope
  Series device;  // the scopes whose status is ok
  // Verdict material; see Resolver.
  uint64_t backlog_near = 0;
  uint64_t backlog_above = 0;
  uint64_t backlog_between = 0;
  double backlog_total_ns = 0;     // over the three above
  uint64_t device_outlasted = 0;   // ok scopes whose device time clearly exceeded their host time
  uint64_t host_took_as_long = 0;  // sampled above, and host time at least 0.9 x device time
};

// A SiteSummary that many threads add to, with the last few samples if any are to be kept.
class alignas(64) SiteStatistics {
 public:
  // Counts the sample, unless reset() has moved on from the epoch it began in.
  void add(const Sample& sample, size_t keep) noexcept;
  // Says that an add is near: gets what it touches into the cache.
  void prefetch() const noexcept;

  SiteSummary copy() const;
  // Copies and clears in one step: each sample is in one such copy, and in one only.
  SiteSummary take();
  // Forgets everything, and refuses samples from before `epoch`.
  void reset(uint32_t epoch) noexcept;
  // Keeps at most the last `keep` of what is kept.
  void trim(size_t keep) noexcept;
  // The kept samples, oldest first.
  std::vector<Sample> recent() const;

 private:
  void clear(uint32_t epoch) noexcept;
  void fit_history(size_t keep) noexcept;

  mutable SpinLock lock_;  // guards everything below; held for one update or, by a report, one copy
  SiteSummary summary_;
  uint32_t epoch_ = 0;
  std::vector<Sample> recent_;  // a ring once it is full
  size_t oldest_ = 0;
};

// The statistics of all sites of a recorder, by site id. Thread-safe. Made in blocks at first use.
class StatisticsTable {
 public:
  StatisticsTable() = default;
  ~StatisticsTable();
  StatisticsTable(const StatisticsTable&) = delete;
  StatisticsTable& operator=(const StatisticsTable&) = delete;

  void add(const Sample& sample) noexcept;
  void prefetch(SiteTable::Id site) const noexcept {
    if (const SiteStatistics* statistics = find(site)) {
      statistics->prefetch();
    }
  }
  // Null where nothing was ever counted near this site.
  SiteStatistics* find(SiteTable::Id site) const noexcept {
    Block* block = blocks_[site / kBlock].load(std::memory_order_acquire);
    return block == nullptr ? nullptr : &(*block)[site % kBlock];
  }
  void reset(uint32_t epoch) noexcept;
  // In the child of a fork: forgets all, frees nothing, as a block may be half written.
  void abandon() noexcept;

  // How many samples to keep for each site; 0 for none.
  void set_keep(size_t count) noexcept;

 private:
  static constexpr size_t kBlock = 64;
  using Block = std::array<SiteStatistics, kBlock>;

  Block* make_block(size_t index) noexcept;

  // The release on a block pairs with the acquire in find().
  std::atomic<size_t> keep_{0};
  std::atomic<uint32_t> epoch_{0};
  std::array<std::atomic<Block*>, SiteTable::kMaxSites / kBlock> blocks_{};
};

}  // namespace fasttime
