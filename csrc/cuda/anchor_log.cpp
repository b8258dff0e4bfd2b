// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/anchor_log.h"

#include <algorithm>
#include <cmath>

namespace fasttime {
namespace {

// The largest relative difference between the rates of two clocks.
constexpr double kMostDrift = 1e-3;

// How far one of the clocks jumped between the previous anchor and this one, for example while the
// machine was suspended. 0 if brackets and drift explain the difference. The moment of the jump is
// unknown.
double jump_before(const AnchorPoint& anchor) noexcept {
  const auto host_ns = static_cast<double>(anchor.host_ns - anchor.previous_host_ns);
  const double difference_ns = std::abs(host_ns - anchor.since_previous_ns);
  const double explained_ns =
      static_cast<double>(anchor.bracket_ns + anchor.previous_bracket_ns) / 2 +
      kMostDrift * anchor.since_previous_ns;
  return difference_ns <= explained_ns ? 0 : difference_ns;
}

}  // namespace

PlacedMoment place_by(const AnchorPoint& anchor, double after_ns) noexcept {
  double host_ns = 0;
  double uncertainty_ns = std::abs(after_ns) * kElapsedRounding;
  if (after_ns < 0 && -after_ns <= anchor.since_previous_ns) {
    const double share = -after_ns / anchor.since_previous_ns;
    host_ns = -share * static_cast<double>(anchor.host_ns - anchor.previous_host_ns);
    uncertainty_ns += (1 - share) * static_cast<double>(anchor.bracket_ns) / 2 +
                      share * static_cast<double>(anchor.previous_bracket_ns) / 2 +
                      share * anchor.since_previous_ns * kElapsedRounding + jump_before(anchor);
  } else {
    host_ns = after_ns * anchor.rate;
    uncertainty_ns +=
        static_cast<double>(anchor.bracket_ns) / 2 + std::abs(after_ns) * anchor.rate_error;
  }
  return {anchor.host_ns + std::llround(host_ns),
          static_cast<int64_t>(std::ceil(uncertainty_ns - 0.5))};
}

void AnchorLog::add(const AnchorPoint& anchor) {
  // Searches from the back: anchors only arrive out of order when two lanes are read at once.
  auto slot = anchors_.end();
  while (slot != anchors_.begin() && std::prev(slot)->number >= anchor.number) {
    --slot;
  }
  if (slot == anchors_.end() || slot->number != anchor.number) {
    anchors_.insert(slot, anchor);
  }
}

PlacedMoment AnchorLog::place(uint32_t number, double after_ns) const noexcept {
  const auto found = std::lower_bound(
      anchors_.begin(), anchors_.end(), number,
      [](const AnchorPoint& anchor, uint32_t wanted) { return anchor.number < wanted; });
  // Whether the time from an anchor to the next one is known.
  const auto leads_to = [&](auto anchor, auto next) {
    return next != anchors_.end() && next->number == anchor->number + 1 &&
           next->since_previous_ns > 0;
  };
  auto anchor = found;
  const double measured_ns = std::abs(after_ns);
  for (auto next = std::next(anchor); after_ns > 0 && leads_to(anchor, next); ++next) {
    anchor = next;
    after_ns -= anchor->since_previous_ns;
  }
  while (after_ns < -anchor->since_previous_ns && anchor != anchors_.begin() &&
         leads_to(std::prev(anchor), anchor)) {
    after_ns += anchor->since_previous_ns;
    --anchor;
  }
  PlacedMoment moment = place_by(*anchor, after_ns);
  // The measured time was rounded at its full length, and so was each time between two anchors.
  const double walked_ns = std::max(measured_ns - std::abs(after_ns), 0.0);
  moment.uncertainty_ns += std::llround(2 * walked_ns * kElapsedRounding);
  return moment;
}

}  // namespace fasttime
