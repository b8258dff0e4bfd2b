// SPDX-License-Identifier: BSD-3-Clause
#include "core/statistics.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <new>
#include <numeric>
#include <utility>

namespace fasttime {

Histogram::Histogram(const Histogram& other) {
  for (size_t i = 0; i < kOctaves; ++i) {
    if (other.octaves_[i]) {
      octaves_[i] = std::make_unique<Octave>(*other.octaves_[i]);
    }
  }
}

Histogram::Histogram(Histogram&& other) noexcept : octaves_(std::move(other.octaves_)) {
  other.last_ = nullptr;
}

Histogram& Histogram::operator=(Histogram&& other) noexcept {
  octaves_ = std::move(other.octaves_);
  last_ = nullptr;
  other.last_ = nullptr;
  return *this;
}

Histogram::Octave* Histogram::find(uint32_t octave) noexcept {
  auto& row = octaves_[octave];
  if (!row) {
    row.reset(new (std::nothrow) Octave{});
  }
  last_octave_ = octave;
  last_ = row.get();
  return last_;
}

[[gnu::hot]] inline void Histogram::add(uint64_t ns) noexcept {
  constexpr auto kLongest = (uint64_t{1} << kTopBit) - 1;
  const uint64_t value = std::min(kLongest, ns);
  // Octave 0 holds 0 … 63 one by one; octave k the 64 steps of width 2^(k-1) above 2^(k+5).
  const auto octave =
      static_cast<uint32_t>(value < kBuckets ? 0 : 64 - __builtin_clzll(value) - kSubBits);
  const size_t bucket = octave == 0 ? value : (value >> (octave - 1)) - kBuckets;
  Octave* row = octave == last_octave_ && last_ != nullptr ? last_ : find(octave);
  if (row != nullptr) {
    ++(*row)[bucket];
  }
}

double Histogram::quantile(double q) const noexcept {
  uint64_t total = 0;
  for (const auto& row : octaves_) {
    total = row ? std::accumulate(row->begin(), row->end(), total) : total;
  }
  if (total == 0) {
    return 0;
  }
  // The nearest rank: the smallest value with at least q of all at or below it.
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(total));
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t octave = 0; octave < kOctaves; ++octave) {
    if (!octaves_[octave]) {
      continue;
    }
    for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += (*octaves_[octave])[bucket];
      if (seen >= rank) {
        return middle_of(octave, bucket);
      }
    }
  }
  return 0;
}

double Histogram::middle_of(size_t octave, size_t step) noexcept {
  if (octave == 0) {
    return static_cast<double>(step);
  }
  const double width = std::ldexp(1.0, static_cast<int>(octave) - 1);
  return (static_cast<double>(kBuckets + step) * width) + (width - 1) / 2;
}

std::vector<std::pair<size_t, uint64_t>> Histogram::filled() const {
  std::vector<std::pair<size_t, uint64_t>> found;
  for (size_t octave = 0; octave < kOctaves; ++octave) {
    for (size_t step = 0; octaves_[octave] && step < kBuckets; ++step) {
      if (const uint64_t count = (*octaves_[octave])[step]) {
        found.emplace_back(octave * kBuckets + step, count);
      }
    }
  }
  return found;
}

std::vector<double> Histogram::middles() {
  std::vector<double> found;
  for (size_t bucket = 0; bucket < kOctaves * kBuckets; ++bucket) {
    found.push_back(middle_of(bucket / kBuckets, bucket % kBuckets));
  }
  return found;
}

[[gnu::hot]] inline void Series::add(int64_t ns) noexcept {
  const int64_t value = std::clamp(ns, -kLongest, kLongest);
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  ++count_;
  total_ += value;
  const auto size = static_cast<uint64_t>(value < 0 ? -value : value);
  squares_ += static_cast<Wide>(size) * size;
  histogram_.add(value < 0 ? 0 : size);
}

// From the sum of squares about a whole number next to the mean, which is exact; only then is there
// a rounding.
double Series::standard_deviation() const noexcept {
  if (count_ < 2) {
    return 0;
  }
  const auto n = static_cast<int64_t>(count_);
  const int64_t centre = total_ / n;
  const auto rest = static_cast<double>(total_ % n);
  // Modulo 2^128, where neither a sign nor a passing overflow matters.
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
  if (sample.epoch != epoch_) {  // of a reset that is under way and has not come here yet
    clear(sample.epoch);
  }
  SiteSummary& summary = summary_;
  ++summary.counts[static_cast<size_t>(sample.status)];
  summary.shared_boundaries += sample.shares_boundary ? 1 : 0;
  const auto host_ns = static_cast<double>(sample.host_ns);
  if (sample.host_ns != kNoHostTime) {
    summary.host.add(sample.host_ns);
  }
  if (sample.status == Status::kOk) {
    summary.device.add(static_cast<int64_t>(sample.device_ns));
    if (sample.device_ns - host_ns > backlog_threshold_ns(sample.device_ns)) {
      ++summary.device_outlasted;
    }
  }
  if (sample.backlog != Backlog::kNotSampled) {
    summary.backlog_near += sample.backlog == Backlog::kNear ? 1 : 0;
    summary.backlog_above += sample.backlog == Backlog::kAbove ? 1 : 0;
    summary.backlog_between += sample.backlog == Backlog::kBetween ? 1 : 0;
    summary.backlog_total_ns += static_cast<double>(sample.backlog_ns);
    if (sample.backlog == Backlog::kAbove && host_ns >= 0.9 * sample.device_ns) {
      ++summary.host_took_as_long;
    }
  }
  if (keep == 0) {
    return;
  }
  if (recent_.size() != keep) {
    fit_history(keep);
  }
  try {
    if (recent_.size() < keep) {
      recent_.push_back(sample);
    } else {
      recent_[oldest_] = sample;
      oldest_ = (oldest_ + 1) % recent_.size();
    }
  } catch (const std::bad_alloc&) {  // the history stays as long as it is
  }
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
  const std::lock_guard<SpinLock> hold(lock_);
  if (is_before(epoch_, epoch)) {
    clear(epoch);
  }
}

void SiteStatistics::clear(uint32_t epoch) noexcept {
  summary_ = SiteSummary{};
  recent_.clear();
  oldest_ = 0;
  epoch_ = epoch;
}

void SiteStatistics::trim(size_t keep) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  fit_history(keep);
}

// Straightens the ring, so that it can grow or shrink.
void SiteStatistics::fit_history(size_t keep) noexcept {
  std::rotate(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(oldest_),
              recent_.end());
  oldest_ = 0;
  if (recent_.size() > keep) {
    recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(keep));
  }
}

std::vector<Sample> SiteStatistics::recent() const {
  const std::lock_guard<SpinLock> hold(lock_);
  std::vector<Sample> ordered;
  ordered.reserve(recent_.size());
  for (size_t i = 0; i < recent_.size(); ++i) {
    ordered.push_back(recent_[(oldest_ + i) % recent_.size()]);
  }
  return ordered;
}

StatisticsTable::~StatisticsTable() {
  for (auto& slot : blocks_) {
    delete slot.load();
  }
}

[[gnu::hot]] void StatisticsTable::add(const Sample& sample) noexcept {
  const size_t index = sample.site / kBlock;
  Block* block = blocks_[index].load(std::memory_order_acquire);
  if (block == nullptr && (block = make_block(index)) == nullptr) {
    return;
  }
  (*block)[sample.site % kBlock].add(sample, keep_.load(std::memory_order_relaxed));
}

[[gnu::cold]] StatisticsTable::Block* StatisticsTable::make_block(size_t index) noexcept {
  auto* made = new (std::nothrow) Block;
  Block* other = nullptr;
  if (made == nullptr) {
    return nullptr;
  }
  if (!blocks_[index].compare_exchange_strong(other, made)) {
    delete made;
    return other;
  }
  // After it can be seen: either this sees the epoch of a reset, or that reset sees the block.
  for (SiteStatistics& site : *made) {
    site.reset(epoch_.load());
  }
  return made;
}

void StatisticsTable::reset(uint32_t epoch) noexcept {
  epoch_.store(epoch);
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

void StatisticsTable::abandon() noexcept {
  for (auto& slot : blocks_) {
    slot.store(nullptr, std::memory_order_relaxed);
  }
}

}  // namespace fasttime
