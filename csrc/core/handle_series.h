// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "core/module_series.h"
#include "core/step_series.h"

namespace fasttime {

// What a handle's recorder counts besides the statistics of its sites.
struct HandleSeries {
  ModuleSeries modules;
  StepSeries steps;

  // Takes note of a scope whose stretch is not kNone. May change the times of the sample.
  void add(const Nesting& nesting, Sample& sample) noexcept {
    if (nesting.stretch == Stretch::kPart || nesting.stretch == Stretch::kLastPart) {
      steps.add(nesting, sample);
    } else {
      modules.add(nesting, sample);
    }
  }
};

}  // namespace fasttime
