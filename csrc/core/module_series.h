// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/nesting.h"
#include "core/sample.h"
#include "core/series.h"
#include "core/site_table.h"
#include "host/spin_lock.h"

namespace fasttime {

// The four times of a module's scope: with and without the modules inside.
enum ModuleTime : size_t { kHost, kDevice, kHostSelf, kDeviceSelf };
constexpr size_t kModuleTimes = 4;

// Sums over the steps of one period, of which only some were timed. For each of the four times: the
// sum over the timed steps, and the sum of the squares, in ns and ns^2.
struct PeriodSums {
  uint32_t period = 0;
  std::array<double, kModuleTimes> total{};
  std::array<double, kModuleTimes> squares{};
};

// The times of a module that SiteStatistics does not have. A value, copied out for a table.
struct ModuleSelf {
  Series host;
  Series device;
  std::vector<PeriodSums> periods;  // empty unless steps are sampled
};

// Self times of modules, and sums per step.
//
// Scopes of one chain arrive in the order of their ends, children before their parent. So one row
// of sums per depth is enough to know the time of all children when the parent arrives.
//
// Scopes of a lane arrive from one thread at a time: the thread that has the right to read the
// lane. Scopes without a lane arrive from their own thread. So a chain needs no lock. Each site has
// a spin lock, as several lanes may have scopes of one module.
//
// Bounded: kMaxChains chains, of kMaxDepth rows. Scopes beyond have no self time.
class ModuleSeries {
 public:
  static constexpr size_t kMaxChains = 4096;
  static constexpr size_t kMaxDepth = 96;

  ModuleSeries() = default;
  ~ModuleSeries();
  ModuleSeries(const ModuleSeries&) = delete;
  ModuleSeries& operator=(const ModuleSeries&) = delete;

  // The number of a new chain, 1 or greater; 0 if there are too many. Needs the GIL.
  uint16_t new_chain() noexcept;

  // Takes note of a module's scope. Removes the time of recomputation from a backward scope.
  void add(const Nesting& nesting, Sample& sample) noexcept;

  ModuleSelf copy(SiteTable::Id site) const;
  // Forgets all times. `epoch` is the first that counts from now on.
  void reset(uint32_t epoch) noexcept;
  // For the child of a fork: forgets everything and frees nothing.
  void forget() noexcept;

  // From now on, steps belong to a period that begins with step `first`, and the sums of each
  // period are kept. Needs the GIL.
  void begin_period(uint32_t first) noexcept;

 private:
  // What the scopes at one depth have added up to since the last scope one level up.
  struct Row {
    int64_t host_ns = 0;
    int64_t device_ns = 0;
    int64_t recompute_host_ns = 0;
    int64_t recompute_device_ns = 0;
    bool knows_host = true;
    bool knows_device = true;
  };
  using Chain = std::array<Row, kMaxDepth + 1>;
  using StepSums = std::array<double, kModuleTimes>;

  struct alignas(64) SiteSelf {
    mutable SpinLock lock;  // guards everything below
    ModuleSelf self;
    uint32_t epoch = 0;
    uint32_t step = 0;
    StepSums in_step{};
  };
  static constexpr size_t kBlock = 64;
  using Block = std::array<SiteSelf, kBlock>;

  SiteSelf* at(SiteTable::Id site) noexcept;
  uint32_t period_of(uint32_t step) const noexcept;
  void add_to_step(SiteSelf& site, uint32_t step, const Sample& sample, const Sample& self,
                   bool knows_host, bool knows_device) noexcept;
  static void close_step(std::vector<PeriodSums>& periods, StepSums& in_step,
                         uint32_t period) noexcept;

  // The release on a pointer pairs with the acquire of its readers.
  std::array<std::atomic<Chain*>, kMaxChains> chains_{};
  size_t chain_count_ = 0;  // guarded by the GIL
  std::array<std::atomic<Block*>, SiteTable::kMaxSites / kBlock> blocks_{};
  std::atomic<bool> has_periods_{false};
  mutable SpinLock periods_lock_;  // guards periods_
  std::vector<uint32_t> periods_;  // the first step of each
};

}  // namespace fasttime
