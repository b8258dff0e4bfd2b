// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/nesting.h"
#include "core/sample.h"
#include "core/series.h"
#include "host/spin_lock.h"

namespace fasttime {

// The parts of the steps: one duration per step and part, and their sum. Parts may arrive in any
// order, from any thread. A step counts once all its parts have arrived. Waits only for its spin
// lock.
//
// Bounded: kOpenSteps steps may be incomplete. Older ones are given up.
class StepSeries {
 public:
  static constexpr size_t kParts = 8;

  // A value, copied out for a report.
  struct Copy {
    uint64_t steps = 0;  // complete steps
    uint64_t lost = 0;   // steps that were given up
    Series host;
    Series device;  // steps in which every part has a device time
    std::array<Series, kParts> part_host;
    std::array<Series, kParts> part_device;
  };

  // The time of one complete step on the device.
  struct StepTime {
    uint32_t step = 0;
    int64_t device_ns = 0;
  };

  void add(const Nesting& nesting, const Sample& sample) noexcept;
  Copy copy() const;
  // The device times of the steps that became complete since the last call, the last kTaken at
  // most.
  std::vector<StepTime> take_times();
  void reset(uint32_t epoch) noexcept;

 private:
  static constexpr size_t kOpenSteps = 256;
  static constexpr size_t kTaken = 256;

  struct OpenStep {
    uint32_t step = 0;
    uint16_t arrived = 0;
    uint16_t expected = 0;
    bool is_open = false;
    bool knows_expected = false;
    bool knows_device = true;
    std::array<int64_t, kParts> host_ns{};
    std::array<int64_t, kParts> device_ns{};
  };

  void complete(OpenStep& open) noexcept;

  mutable SpinLock lock_;  // guards everything below
  uint32_t epoch_ = 0;
  std::array<OpenStep, kOpenSteps> open_;
  Copy done_;
  std::array<StepTime, kTaken> times_;  // a ring
  size_t time_count_ = 0;               // since the last take_times()
};

}  // namespace fasttime
