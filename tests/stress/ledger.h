// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

#include "check.h"
#include "core/recorder.h"

// A recorder, and a count of the scopes that it was given. Checks that each scope appears in
// exactly one take(). Thread-safe, except for the check at the end.
class Ledger {
 public:
  // The number of names. Each also appears under each other, so that the table of sites grows while
  // it is read.
  static constexpr int kNames = 12;

  fasttime::SiteTable::Id site(int name, int parent) {
    fasttime::SiteTable& sites = recorder.sites();
    const auto above = sites.child(0, sites.intern("name " + std::to_string(parent)));
    const auto id = sites.intern("name " + std::to_string(name));
    return sites.child(name == parent ? 0 : above, id);
  }

  void end(fasttime::OpenScope& scope) {
    ended_[scope.site].fetch_add(1, std::memory_order_relaxed);
    recorder.end(scope);
  }

  void abandon(fasttime::OpenScope& scope) {
    abandoned_[scope.site].fetch_add(1, std::memory_order_relaxed);
    recorder.abandon(scope);
  }

  void change_phase(fasttime::OpenScope& phase, fasttime::SiteTable::Id site,
                    const fasttime::Place* chosen) {
    ended_[phase.site].fetch_add(1, std::memory_order_relaxed);
    recorder.change_phase(phase, site);
    if (phase.lane == nullptr) {
      recorder.retry_phase(phase, chosen);
    }
  }

  void end_block(fasttime::OpenScope& block, fasttime::OpenScope& phase) {
    ended_[block.site].fetch_add(1, std::memory_order_relaxed);
    ended_[phase.site].fetch_add(1, std::memory_order_relaxed);
    recorder.end_block(block, phase);
  }

  void take() {
    const std::vector<fasttime::SiteSummary> summaries = recorder.summaries(true);
    const std::lock_guard<std::mutex> hold(mutex_);
    for (size_t site = 0; site < summaries.size(); ++site) {
      const fasttime::SiteSummary& summary = summaries[site];
      const uint64_t all =
          std::accumulate(summary.counts.begin(), summary.counts.end(), uint64_t{0});
      const uint64_t placed =
          summary.backlog_near + summary.backlog_above + summary.backlog_between;
      // A copy must be consistent even if other threads write.
      FASTTIME_CHECK(summary.device.count() == count(summary, fasttime::Status::kOk));
      FASTTIME_CHECK(summary.host.count() <= all);
      FASTTIME_CHECK(placed <= summary.device.count());
      FASTTIME_CHECK(summary.shared_boundaries <= all);
      FASTTIME_CHECK(summary.host.min() >= 0);
      FASTTIME_CHECK(summary.device.min() >= 0);
      taken_[site] += all;
      taken_with_host_time_[site] += summary.host.count();
      for (int status = 0; status < fasttime::kStatusCount; ++status) {
        statuses[static_cast<size_t>(status)] += summary.counts[static_cast<size_t>(status)];
      }
    }
  }

  // Call when all scopes have ended and no other thread is left. The device must not be held.
  void check_conserved() {
    check_quiet();
    take();
    for (size_t site = 0; site < ended_.size(); ++site) {
      FASTTIME_CHECK(taken_with_host_time_[site] == ended_[site]);
      FASTTIME_CHECK(taken_[site] == ended_[site] + abandoned_[site]);
    }
  }

  // Nothing is open, and nothing stays pending.
  void check_quiet() {
    FASTTIME_CHECK(recorder.drain(recorder.mark(), std::numeric_limits<int64_t>::max()));
    const fasttime::RecorderCounts counts = recorder.counts();
    FASTTIME_CHECK(counts.open == 0);
    FASTTIME_CHECK(counts.pending == 0);
    FASTTIME_CHECK(counts.refused_sites == 0);
  }

  fasttime::Recorder recorder;
  std::array<uint64_t, fasttime::kStatusCount> statuses{};  // taken so far

 private:
  static uint64_t count(const fasttime::SiteSummary& summary, fasttime::Status status) {
    return summary.counts[static_cast<size_t>(status)];
  }

  static constexpr size_t kSites = fasttime::SiteTable::kMaxSites;
  std::vector<std::atomic<uint64_t>> ended_ = std::vector<std::atomic<uint64_t>>(kSites);
  std::vector<std::atomic<uint64_t>> abandoned_ = std::vector<std::atomic<uint64_t>>(kSites);
  std::mutex mutex_;  // guards statuses, taken_ and taken_with_host_time_
  std::vector<uint64_t> taken_ = std::vector<uint64_t>(kSites);
  std::vector<uint64_t> taken_with_host_time_ = std::vector<uint64_t>(kSites);
};
