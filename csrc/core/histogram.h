// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace fasttime {

// Counts durations in log-linear buckets, 64 per octave: the middle of a bucket is within 0.8 % of
// every duration in it. The range is 0 to 2^52 ns (52 days). Longer durations count as 52 days.
// An octave's buckets are allocated at the first hit and kept, so memory is bounded by 24 KiB, and
// a site whose times stay within a few octaves uses a tenth of that.
//
// Buckets are numbered from 0, in the order of the durations they hold. Not thread-safe. Functions
// that are not noexcept may throw std::bad_alloc.
class Histogram {
  static constexpr int kSubBits = 6;
  static constexpr size_t kSteps = size_t{1} << kSubBits;
  static constexpr int kTopBit = 52;
  static constexpr size_t kOctaves = kTopBit - kSubBits + 1;

 public:
  static constexpr size_t kBuckets = kOctaves * kSteps;
  // A bucket and how many durations it holds.
  using Filled = std::pair<size_t, uint64_t>;

  Histogram() = default;
  Histogram(const Histogram& other);
  Histogram(Histogram&& other) noexcept;
  Histogram& operator=(Histogram&& other) noexcept;

  // Counts one duration. Without memory for its octave the duration is left out.
  void add(uint64_t ns) noexcept;
  // Counts what another histogram holds.
  void add(const Histogram& other);
  // Counts `count` durations in a bucket below kBuckets.
  void add_to_bucket(size_t bucket, uint64_t count);
  // Subtracts the counts of an earlier state of this histogram. False, with nothing changed, if a
  // bucket holds fewer durations than it did then.
  bool subtract(const Histogram& earlier) noexcept;

  // The duration in ns below which a fraction `q` lies, q in [0, 1]. 0 when empty.
  double quantile(double q) const noexcept;
  // Every bucket that holds durations, in order.
  std::vector<Filled> filled() const;
  // The duration in ns that a bucket below kBuckets stands for: its middle.
  static double middle_of(size_t bucket) noexcept;

 private:
  using Octave = std::array<uint64_t, kSteps>;

  uint64_t at(size_t bucket) const noexcept;
  Octave* find(uint32_t octave) noexcept;

  // The octave hit last, usually also the next one hit. Null before the first.
  Octave* last_ = nullptr;
  uint32_t last_octave_ = 0;
  std::array<std::unique_ptr<Octave>, kOctaves> octaves_;
};

[[gnu::hot]] inline void Histogram::add(uint64_t ns) noexcept {
  constexpr auto kLongest = (uint64_t{1} << kTopBit) - 1;
  const uint64_t value = std::min(kLongest, ns);
  // Octave 0 holds 0 … 63 one by one; octave k the 64 steps of width 2^(k-1) above 2^(k+5).
  const auto octave =
      static_cast<uint32_t>(value < kSteps ? 0 : 64 - __builtin_clzll(value) - kSubBits);
  const size_t step = octave == 0 ? value : (value >> (octave - 1)) - kSteps;
  Octave* row = octave == last_octave_ && last_ != nullptr ? last_ : find(octave);
  if (row != nullptr) {
    ++(*row)[step];
  }
}

}  // namespace fasttime
