// SPDX-License-Identifier: BSD-3-Clause
// Turning ended scopes into samples, and copying them out for a report.
#include <algorithm>
#include <limits>

#include "core/recorder.h"
#include "core/resolver.h"

namespace fasttime {
namespace {

constexpr int64_t kFirstPauseNs = 20'000;
constexpr int64_t kLongestPauseNs = 1'000'000;

}  // namespace

void Recorder::add_unresolved(const OpenScope& scope, int64_t host_end_ns) noexcept {
  Sample sample;
  sample.site = scope.site;
  sample.epoch = scope.epoch;
  sample.status = scope.status;
  sample.host_begin_ns = scope.host_begin_ns;
  sample.host_ns = host_end_ns - scope.host_begin_ns;
  statistics_.add(sample, scope.nesting);
  if (spans_.is_on() && scope.site != SiteTable::kRoot) {
    Span span;
    span.host_begin_ns = scope.host_begin_ns;
    span.host_end_ns = host_end_ns;
    span.thread = scope.begun_by;
    span.site = scope.site;
    span.status = scope.status;
    spans_.add(span, {});
  }
}

void Recorder::read_graphs(size_t limit, int64_t now_ns) noexcept {
  graphs_.read(statistics_, spans_, epoch_.load(std::memory_order_relaxed), limit, now_ns);
}

void Recorder::poll() noexcept {
  const CudaRuntime& cuda = runtime();
  const int64_t now_ns = cuda.host_now_ns();
  each_lane([&](Lane& lane) {
    if (cuda.has_cuda) {
      resolve(cuda, lane, Lane::kMaxScopes, now_ns);
    } else {
      fail_pending(lane, statistics_, spans_);
    }
  });
  if (cuda.has_cuda && graphs_.has_scopes()) {
    graphs_.renew_clocks(cuda, false);
    read_graphs(std::numeric_limits<size_t>::max(), now_ns);
  }
  resolve_groups(cuda, StreamGroups::kMost, now_ns);
}

// The replays of graphs leave no trace on the host before the device runs them. A scope of the root
// site, which no report shows, waits for the replays on the caller's stream.
Recorder::Mark Recorder::mark() {
  Mark mark;
  const CudaRuntime& cuda = runtime();
  Place here;
  int status = cuda::kSuccess;
  if (graphs_.has_scopes() && cuda.has_cuda && current_place(cuda, here) &&
      capture_state(cuda, here, status) == CaptureState::kNone) {
    OpenScope marker;
    begin(marker, SiteTable::kRoot, &here);
    end(marker);
    leave_call();
  }
  each_lane([&](Lane& lane) { mark.lanes.emplace_back(&lane, lane.pushed()); });
  mark.groups = groups_.pushed();
  return mark;
}

bool Recorder::drain(const Mark& mark, int64_t deadline_ns) noexcept {
  const auto is_resolved = [](const std::pair<Lane*, uint64_t>& wanted) {
    return wanted.first->popped() >= wanted.second;
  };
  for (int64_t pause_ns = kFirstPauseNs;; pause_ns = std::min(2 * pause_ns, kLongestPauseNs)) {
    poll();
    if (std::all_of(mark.lanes.begin(), mark.lanes.end(), is_resolved) &&
        groups_.are_resolved(mark.groups)) {
      return true;
    }
    const CudaRuntime& cuda = runtime();
    const int64_t left_ns = deadline_ns - cuda.host_now_ns();
    if (left_ns <= 0) {
      return false;
    }
    cuda.pause(std::min(pause_ns, left_ns));
  }
}

std::vector<SiteSummary> Recorder::summaries(bool take) {
  std::vector<SiteSummary> all(sites_.size());
  for (SiteTable::Id site = 0; site < all.size(); ++site) {
    if (SiteStatistics* statistics = statistics_.find(site)) {
      all[site] = take ? statistics->take() : statistics->copy();
    }
  }
  return all;
}

std::vector<Sample> Recorder::recent(SiteTable::Id site) const {
  const SiteStatistics* statistics = statistics_.find(site);
  return statistics == nullptr ? std::vector<Sample>{} : statistics->recent();
}

std::vector<Sample> Recorder::take_recent(SiteTable::Id site) {
  SiteStatistics* statistics = statistics_.find(site);
  return statistics == nullptr ? std::vector<Sample>{} : statistics->take_recent();
}

RecorderCounts Recorder::counts() const noexcept {
  RecorderCounts counts;
  counts.open =
      static_cast<uint64_t>(std::max<int64_t>(0, open_on_host_.load(std::memory_order_relaxed)));
  counts.pending = groups_.pending();
  counts.refused_sites = sites_.refused();
  each_lane([&](Lane& lane) {
    // In this order. A scope that ends in between counts as open, as pending, or as both, but is
    // never left out.
    const size_t booked = lane.booked();
    const size_t pending = lane.unread();
    counts.pending += pending;
    counts.open += booked > pending ? booked - pending : 0;
  });
  return counts;
}

}  // namespace fasttime
