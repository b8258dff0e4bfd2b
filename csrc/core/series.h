// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "core/histogram.h"

namespace fasttime {

// Moments, range and quantiles of durations, in constant memory. Durations are whole nanoseconds,
// so sums and squares are exact, whatever the number and the order. Not thread-safe. Functions that
// are not noexcept may throw std::bad_alloc.
class alignas(64) Series {
 public:
  // Room for the squares of durations that add up to 292 years, each at most kLongest.
  __extension__ using Wide = unsigned __int128;

  // All that a series holds besides its histogram. Exact.
  struct Moments {
    uint64_t count;
    int64_t total_ns;
    Wide squares_ns2;
    int64_t min_ns;
    int64_t max_ns;
  };

  Series() = default;
  // A series that was taken apart by moments() and histogram().filled(). Throws
  // std::invalid_argument if no durations can have these moments and this histogram. The buckets
  // may hold fewer durations than `count`: there may have been no memory for some. `first_ns` is
  // left out if it does not lie in the range.
  Series(const Moments& moments, const std::vector<Histogram::Filled>& filled,
         std::optional<int64_t> first_ns);

  void add(int64_t ns) noexcept;

  // The series of the durations of both. Throws std::overflow_error if they add up to more than
  // 292 years.
  Series merged(const Series& other) const;
  // The series of the durations added after `earlier`, a previous state of this series. The new
  // min and max are exact if they lie outside the earlier range, else within 0.8 %. Throws
  // std::invalid_argument if `earlier` is not a previous state.
  Series since(const Series& earlier) const;

  uint64_t count() const noexcept { return count_; }
  double total() const noexcept { return static_cast<double>(total_); }
  double mean() const noexcept { return count_ == 0 ? 0 : total() / static_cast<double>(count_); }
  // Divides by count - 1. 0 for fewer than two durations.
  double standard_deviation() const noexcept;
  double min() const noexcept { return static_cast<double>(min_); }
  double max() const noexcept { return static_cast<double>(max_); }
  // The duration that was added first. In merged series, the first duration of the first series
  // that has durations. Unknown without durations, and after since() with a non-empty series.
  std::optional<int64_t> first() const noexcept {
    return first_ == kUnknown ? std::nullopt : std::optional<int64_t>(first_);
  }
  // Within 0.8 % of a duration that was added, and always within [min, max].
  double quantile(double q) const noexcept;
  // For each bound in ns, how many durations are at or below it. A bucket counts as its middle.
  std::vector<uint64_t> counts_below(const std::vector<double>& bounds) const;

  Moments moments() const noexcept { return {count_, total_, squares_, min_, max_}; }
  const Histogram& histogram() const noexcept { return histogram_; }

 private:
  static constexpr int64_t kLongest = int64_t{1} << 52;  // 52 days; longer ones count as that

  static constexpr int64_t kUnknown = std::numeric_limits<int64_t>::min();

  explicit Series(const Moments& moments) noexcept;

  // In one cache line, with the part of the histogram that add() uses.
  Wide squares_ = 0;
  uint64_t count_ = 0;
  int64_t total_ = 0;
  int64_t min_ = 0;
  int64_t max_ = 0;
  Histogram histogram_;
  // Only written by the first add(), so outside that cache line.
  int64_t first_ = kUnknown;
};

// Whether both hold the same moments and the same histogram, whichever duration came first.
bool operator==(const Series& one, const Series& other);

[[gnu::hot]] inline void Series::add(int64_t ns) noexcept {
  const int64_t value = std::clamp(ns, -kLongest, kLongest);
  if (count_ == 0) {
    first_ = value;
  }
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  ++count_;
  total_ += value;
  const auto size = static_cast<uint64_t>(value < 0 ? -value : value);
  squares_ += static_cast<Wide>(size) * size;
  histogram_.add(value < 0 ? 0 : size);
}

}  // namespace fasttime
