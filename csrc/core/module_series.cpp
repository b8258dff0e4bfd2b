// SPDX-License-Identifier: BSD-3-Clause
#include "core/module_series.h"

#include <algorithm>
#include <mutex>
#include <new>

namespace fasttime {
namespace {

// Epochs and steps wrap around.
bool is_before(uint32_t one, uint32_t other) noexcept {
  return static_cast<int32_t>(one - other) < 0;
}

}  // namespace

ModuleSeries::~ModuleSeries() {
  for (auto& chain : chains_) {
    delete chain.load();
  }
  for (auto& block : blocks_) {
    delete block.load();
  }
}

uint16_t ModuleSeries::new_chain() noexcept {
  if (chain_count_ + 1 >= kMaxChains) {
    return 0;
  }
  auto* chain = new (std::nothrow) Chain;
  if (chain == nullptr) {
    return 0;
  }
  chains_[++chain_count_].store(chain, std::memory_order_release);
  return static_cast<uint16_t>(chain_count_);
}

ModuleSeries::SiteSelf* ModuleSeries::at(SiteTable::Id site) noexcept {
  std::atomic<Block*>& slot = blocks_[site / kBlock];
  Block* block = slot.load(std::memory_order_acquire);
  if (block == nullptr) {
    auto* made = new (std::nothrow) Block;
    if (made == nullptr) {
      return nullptr;
    }
    if (slot.compare_exchange_strong(block, made)) {
      block = made;
    } else {
      delete made;  // `block` is another thread's now
    }
  }
  return &(*block)[site % kBlock];
}

[[gnu::hot]] void ModuleSeries::add(const Nesting& nesting, Sample& sample) noexcept {
  Chain* chain = nesting.chain == 0 || nesting.depth >= kMaxDepth
                     ? nullptr
                     : chains_[nesting.chain].load(std::memory_order_acquire);
  bool knows_host = sample.host_ns != kNoHostTime;
  bool knows_device = sample.status == Status::kOk;
  Sample self = sample;
  if (chain == nullptr) {
    knows_host = knows_device = false;
  } else {
    Row& inside = (*chain)[nesting.depth + 1u];
    Row& own = (*chain)[nesting.depth];
    const bool is_recompute = nesting.stretch == Stretch::kRecompute;
    own.host_ns += std::max(sample.host_ns, int64_t{0});
    own.knows_host = own.knows_host && knows_host;
    own.knows_device = own.knows_device && knows_device;
    if (knows_device) {
      own.device_ns += static_cast<int64_t>(sample.device_ns);
    }
    if (is_recompute) {
      own.recompute_host_ns += std::max(sample.host_ns, int64_t{0});
      own.recompute_device_ns += knows_device ? static_cast<int64_t>(sample.device_ns) : 0;
    } else {
      own.recompute_host_ns += inside.recompute_host_ns;
      own.recompute_device_ns += inside.recompute_device_ns;
    }
    self.host_ns -= inside.host_ns;
    self.device_ns -= static_cast<double>(inside.device_ns);
    if (nesting.stretch == Stretch::kBackward) {
      if (knows_host) {
        sample.host_ns -= inside.recompute_host_ns;
      }
      sample.device_ns -= static_cast<double>(inside.recompute_device_ns);
    }
    knows_host = knows_host && inside.knows_host;
    knows_device = knows_device && inside.knows_device;
    inside = Row{};
  }
  SiteSelf* const site = at(sample.site);
  if (site == nullptr) {
    return;
  }
  const std::lock_guard<SpinLock> hold(site->lock);
  if (is_before(sample.epoch, site->epoch)) {
    return;
  }
  if (knows_host) {
    site->self.host.add(self.host_ns);
  }
  if (knows_device) {
    site->self.device.add(static_cast<int64_t>(self.device_ns));
  }
  if (has_periods_.load(std::memory_order_relaxed)) {
    add_to_step(*site, nesting.step, sample, self, knows_host, knows_device);
  }
}

uint32_t ModuleSeries::period_of(uint32_t step) const noexcept {
  const std::lock_guard<SpinLock> hold(periods_lock_);
  size_t period = periods_.size();
  while (period > 1 && is_before(step, periods_[period - 1])) {
    --period;
  }
  return static_cast<uint32_t>(period == 0 ? 0 : period - 1);
}

void ModuleSeries::close_step(std::vector<PeriodSums>& periods, StepSums& in_step,
                              uint32_t period) noexcept {
  if (periods.empty() || periods.back().period != period) {
    try {
      periods.push_back(PeriodSums{period, {}, {}});
    } catch (const std::bad_alloc&) {
      return;
    }
  }
  PeriodSums& sums = periods.back();
  for (size_t i = 0; i < kModuleTimes; ++i) {
    sums.total[i] += in_step[i];
    sums.squares[i] += in_step[i] * in_step[i];
  }
  in_step = {};
}

void ModuleSeries::add_to_step(SiteSelf& site, uint32_t step, const Sample& sample,
                               const Sample& self, bool knows_host, bool knows_device) noexcept {
  if (step != site.step) {
    close_step(site.self.periods, site.in_step, period_of(site.step));
    site.step = step;
  }
  if (sample.host_ns != kNoHostTime) {
    site.in_step[kHost] += static_cast<double>(sample.host_ns);
  }
  if (sample.status == Status::kOk) {
    site.in_step[kDevice] += sample.device_ns;
  }
  site.in_step[kHostSelf] += knows_host ? static_cast<double>(self.host_ns) : 0;
  site.in_step[kDeviceSelf] += knows_device ? self.device_ns : 0;
}

ModuleSelf ModuleSeries::copy(SiteTable::Id site) const {
  const Block* block = blocks_[site / kBlock].load(std::memory_order_acquire);
  if (block == nullptr) {
    return {};
  }
  const SiteSelf& found = (*block)[site % kBlock];
  const std::lock_guard<SpinLock> hold(found.lock);
  ModuleSelf copied = found.self;
  if (has_periods_.load(std::memory_order_relaxed)) {
    StepSums in_step = found.in_step;
    close_step(copied.periods, in_step, period_of(found.step));
  }
  return copied;
}

void ModuleSeries::reset(uint32_t epoch) noexcept {
  for (auto& slot : blocks_) {
    if (Block* block = slot.load(std::memory_order_acquire)) {
      for (SiteSelf& site : *block) {
        const std::lock_guard<SpinLock> hold(site.lock);
        site.self = ModuleSelf{};
        site.in_step = {};
        site.epoch = epoch;
      }
    }
  }
}

void ModuleSeries::forget() noexcept {
  for (auto& chain : chains_) {
    chain.store(nullptr, std::memory_order_relaxed);
  }
  for (auto& block : blocks_) {
    block.store(nullptr, std::memory_order_relaxed);
  }
}

void ModuleSeries::begin_period(uint32_t first) noexcept {
  const std::lock_guard<SpinLock> hold(periods_lock_);
  try {
    periods_.push_back(first);
    has_periods_.store(true, std::memory_order_relaxed);
  } catch (const std::bad_alloc&) {  // the steps then count to the period before
  }
}

}  // namespace fasttime
