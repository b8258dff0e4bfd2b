// SPDX-License-Identifier: BSD-3-Clause
#include "core/step_series.h"

#include <mutex>

namespace fasttime {

void StepSeries::add(const Nesting& nesting, const Sample& sample) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (static_cast<int32_t>(sample.epoch - epoch_) < 0) {
    return;
  }
  OpenStep& open = open_[nesting.step % kOpenSteps];
  if (!open.is_open || open.step != nesting.step) {
    done_.lost += open.is_open ? 1 : 0;
    open = OpenStep{};
    open.is_open = true;
    open.step = nesting.step;
  }
  const size_t part = nesting.depth % kParts;
  ++open.arrived;
  open.host_ns[part] += sample.host_ns > 0 ? sample.host_ns : 0;
  if (sample.status == Status::kOk) {
    open.device_ns[part] += static_cast<int64_t>(sample.device_ns);
  } else {
    open.knows_device = false;
  }
  if (nesting.stretch == Stretch::kLastPart) {
    open.expected = nesting.chain;
    open.knows_expected = true;
  }
  if (open.knows_expected && open.arrived == open.expected) {
    complete(open);
  }
}

void StepSeries::complete(OpenStep& open) noexcept {
  int64_t host_ns = 0;
  int64_t device_ns = 0;
  for (size_t part = 0; part < kParts; ++part) {
    host_ns += open.host_ns[part];
    device_ns += open.device_ns[part];
    done_.part_host[part].add(open.host_ns[part]);
    if (open.knows_device) {
      done_.part_device[part].add(open.device_ns[part]);
    }
  }
  ++done_.steps;
  done_.host.add(host_ns);
  if (open.knows_device) {
    done_.device.add(device_ns);
    times_[time_count_++ % kTaken] = {open.step, device_ns};
  }
  open.is_open = false;
}

StepSeries::Copy StepSeries::copy() const {
  const std::lock_guard<SpinLock> hold(lock_);
  return done_;
}

std::vector<StepSeries::StepTime> StepSeries::take_times() {
  std::vector<StepTime> taken;
  taken.reserve(kTaken);  // before the lock, because it may take long
  const std::lock_guard<SpinLock> hold(lock_);
  for (size_t i = time_count_ > kTaken ? time_count_ - kTaken : 0; i < time_count_; ++i) {
    taken.push_back(times_[i % kTaken]);
  }
  time_count_ = 0;
  return taken;
}

void StepSeries::reset(uint32_t epoch) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  epoch_ = epoch;
  done_ = Copy{};
  open_ = {};
  time_count_ = 0;
}

}  // namespace fasttime
