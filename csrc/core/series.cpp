// SPDX-License-Identifier: BSD-3-Clause
#include "core/series.h"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace fasttime {
namespace {

__extension__ using SignedWide = __int128;

int64_t floor_quotient(int64_t above, int64_t below) noexcept {
  return above / below - (above % below < 0 ? 1 : 0);
}

int64_t ceiling_quotient(int64_t above, int64_t below) noexcept {
  return above / below + (above % below > 0 ? 1 : 0);
}

// Whether durations with this count and this total can have these squares: no squares are smaller
// than with all durations alike.
bool squares_suffice(const Series::Moments& moments) noexcept {
  const auto total = static_cast<SignedWide>(moments.total_ns);
  const auto square = static_cast<Series::Wide>(total * total);
  const Series::Wide count = moments.count;
  return moments.squares_ns2 >= square / count + (square % count != 0 ? 1 : 0);
}

void check(const Series::Moments& moments) {
  if (moments.count == 0) {
    if (moments.total_ns != 0 || moments.squares_ns2 != 0 || moments.min_ns != 0 ||
        moments.max_ns != 0) {
      throw std::invalid_argument("with a count of 0, total, squares, min and max must be 0");
    }
    return;
  }
  const auto count = static_cast<SignedWide>(moments.count);
  if (moments.total_ns < count * moments.min_ns || moments.total_ns > count * moments.max_ns) {
    throw std::invalid_argument("total_ns must lie between count * min_ns and count * max_ns");
  }
  if (!squares_suffice(moments)) {
    throw std::invalid_argument("squares_ns2 must be at least total_ns ** 2 / count");
  }
}

}  // namespace

Series::Series(const Moments& moments) noexcept
    : squares_(moments.squares_ns2),
      count_(moments.count),
      total_(moments.total_ns),
      min_(moments.min_ns),
      max_(moments.max_ns) {}

Series::Series(const Moments& moments, const std::vector<Histogram::Filled>& filled,
               std::optional<int64_t> first_ns)
    : Series(moments) {
  check(moments);
  if (first_ns.has_value() && count_ != 0 && *first_ns >= min_ && *first_ns <= max_) {
    first_ = *first_ns;
  }
  uint64_t left = count_;
  for (size_t i = 0; i < filled.size(); ++i) {
    const auto [bucket, count] = filled[i];
    if (bucket >= Histogram::kBuckets || (i > 0 && bucket <= filled[i - 1].first)) {
      throw std::invalid_argument("buckets must rise and be below " +
                                  std::to_string(Histogram::kBuckets));
    }
    if (count == 0 || count > left) {
      throw std::invalid_argument("counts must be above 0 and add up to at most count");
    }
    left -= count;
    histogram_.add_to_bucket(bucket, count);
  }
}

Series Series::merged(const Series& other) const {
  if (count_ == 0 || other.count_ == 0) {
    return count_ == 0 ? other : *this;
  }
  Series both = *this;
  if (__builtin_add_overflow(count_, other.count_, &both.count_) ||
      __builtin_add_overflow(total_, other.total_, &both.total_) ||
      __builtin_add_overflow(squares_, other.squares_, &both.squares_)) {
    throw std::overflow_error("the durations of both series add up to more than 292 years");
  }
  both.min_ = std::min(min_, other.min_);
  both.max_ = std::max(max_, other.max_);
  both.histogram_.add(other.histogram_);
  return both;
}

Series Series::since(const Series& earlier) const {
  if (earlier.count_ == 0) {
    return *this;
  }
  Series later = *this;
  later.first_ = kUnknown;
  if (__builtin_sub_overflow(count_, earlier.count_, &later.count_) ||
      __builtin_sub_overflow(total_, earlier.total_, &later.total_) ||
      __builtin_sub_overflow(squares_, earlier.squares_, &later.squares_) ||
      !later.histogram_.subtract(earlier.histogram_) ||
      (later.count_ != 0 && !squares_suffice(later.moments()))) {
    throw std::invalid_argument(std::to_string(count_) + " durations cannot have come after " +
                                std::to_string(earlier.count_) + " others");
  }
  if (later.count_ == 0) {
    return Series();
  }
  const auto filled = later.histogram_.filled();
  const auto end_of = [&](size_t bucket) {
    return std::clamp(static_cast<int64_t>(Histogram::middle_of(bucket)), min_, max_);
  };
  const auto count = static_cast<int64_t>(later.count_);
  later.min_ = end_of(filled.empty() ? 0 : filled.front().first);
  later.max_ = end_of(filled.empty() ? 0 : filled.back().first);
  if (min_ < earlier.min_) {
    later.min_ = min_;
  }
  if (max_ > earlier.max_) {
    later.max_ = max_;
  }
  if (count == 1) {
    later.min_ = later.max_ = later.total_;
  }
  // The mean is exact and lies between min and max.
  later.min_ = std::min(later.min_, floor_quotient(later.total_, count));
  later.max_ = std::max(later.max_, ceiling_quotient(later.total_, count));
  return later;
}

// Sums the squares about a whole number next to the mean. The sum is exact; rounding comes after.
double Series::standard_deviation() const noexcept {
  if (count_ < 2) {
    return 0;
  }
  const auto n = static_cast<int64_t>(count_);
  const int64_t centre = total_ / n;
  const auto rest = static_cast<double>(total_ % n);
  // Modulo 2^128, so signs and passing overflows do not matter.
  const Wide about_centre =
      squares_ - 2 * static_cast<Wide>(centre) * static_cast<Wide>(total_) +
      static_cast<Wide>(count_) * static_cast<Wide>(centre) * static_cast<Wide>(centre);
  const double about_mean =
      static_cast<double>(about_centre) - rest * rest / static_cast<double>(n);
  return std::sqrt(std::max(0.0, about_mean) / static_cast<double>(n - 1));
}

double Series::quantile(double q) const noexcept {
  return std::clamp(histogram_.quantile(q), min(), max());
}

std::vector<uint64_t> Series::counts_below(const std::vector<double>& bounds) const {
  const auto filled = histogram_.filled();
  std::vector<uint64_t> found;
  found.reserve(bounds.size());
  for (const double bound : bounds) {
    // A bound in seconds times 1e9 may lie a rounding error below the whole ns that was meant.
    const double wanted = std::nearbyint(bound * 1000) / 1000;
    if (wanted >= max()) {
      found.push_back(count_);
      continue;
    }
    uint64_t below = 0;
    for (const auto& [bucket, count] : filled) {
      below += wanted >= min() && Histogram::middle_of(bucket) <= wanted ? count : 0;
    }
    found.push_back(below);
  }
  return found;
}

bool operator==(const Series& one, const Series& other) {
  const Series::Moments a = one.moments();
  const Series::Moments b = other.moments();
  return a.count == b.count && a.total_ns == b.total_ns && a.squares_ns2 == b.squares_ns2 &&
         a.min_ns == b.min_ns && a.max_ns == b.max_ns &&
         one.histogram().filled() == other.histogram().filled();
}

}  // namespace fasttime
