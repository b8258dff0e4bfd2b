// SPDX-License-Identifier: BSD-3-Clause
// What of the recorder is not hot: its life, reading, and forks.
#include <algorithm>
#include <new>

#include "core/forks.h"
#include "core/recorder.h"
#include "core/resolver.h"
#include "cuda/devices.h"
#include "host/process_number.h"

namespace fasttime {
namespace {

constexpr int64_t kFirstPauseNs = 20'000;
constexpr int64_t kLongestPauseNs = 1'000'000;

uint32_t next_life() noexcept {
  static std::atomic<uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Recorder::Recorder() : process_(process_number()), life_(next_life()) { register_recorder(this); }

Recorder::~Recorder() {
  unregister_recorder(this);
  poll();
  each_lane([](Lane& lane) {
    lane.dissolve();
    delete &lane;
  });
}

void Recorder::add_unresolved(const OpenScope& scope, int64_t host_end_ns) noexcept {
  Sample sample;
  sample.site = scope.site;
  sample.epoch = scope.epoch;
  sample.status = scope.status;
  sample.host_begin_ns = scope.host_begin_ns;
  sample.host_ns = host_end_ns - scope.host_begin_ns;
  statistics_.add(sample);
  if (spans_.is_on()) {
    Span span;
    span.host_begin_ns = scope.host_begin_ns;
    span.host_end_ns = host_end_ns;
    span.thread = scope.begun_by;
    span.site = scope.site;
    span.status = scope.status;
    spans_.add(span, {});
  }
}

void Recorder::poll() noexcept {
  const CudaRuntime& cuda = runtime();
  const int64_t now_ns = cuda.host_now_ns();
  each_lane([&](Lane& lane) {
    if (cuda.has_cuda) {
      resolve(cuda, lane, Lane::kMaxScopes, now_ns);
    } else {
      give_up_pending(lane, statistics_, spans_);
    }
  });
}

Recorder::Mark Recorder::mark() {
  Mark mark;
  each_lane([&](Lane& lane) { mark.emplace_back(&lane, lane.pushed()); });
  return mark;
}

bool Recorder::drain(const Mark& mark, int64_t deadline_ns) noexcept {
  const auto is_resolved = [](const std::pair<Lane*, uint64_t>& wanted) {
    return wanted.first->popped() >= wanted.second;
  };
  for (int64_t pause_ns = kFirstPauseNs;; pause_ns = std::min(2 * pause_ns, kLongestPauseNs)) {
    poll();
    if (std::all_of(mark.begin(), mark.end(), is_resolved)) {
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

RecorderCounts Recorder::counts() const noexcept {
  RecorderCounts counts;
  counts.open =
      static_cast<uint64_t>(std::max<int64_t>(0, open_on_host_.load(std::memory_order_relaxed)));
  counts.refused_sites = sites_.refused();
  each_lane([&](Lane& lane) {
    // In this order: a scope that ends meanwhile is seen as open, or as pending, or both, not
    // never.
    const size_t booked = lane.booked();
    const size_t pending = lane.unread();
    counts.pending += pending;
    counts.open += booked > pending ? booked - pending : 0;
  });
  return counts;
}

bool Recorder::start_spans(size_t limit) noexcept {
  if (!spans_.start(limit, runtime().host_now_ns())) {
    return false;
  }
  anchor_devices();
  return true;
}

SpanStore::Taken Recorder::take_spans() {
  anchor_devices();
  return spans_.take();
}

void Recorder::anchor_devices() noexcept {
  const CudaRuntime& cuda = runtime();
  Place here;
  int status = cuda::kSuccess;
  if (!cuda.has_cuda || !current_place(cuda, here) ||
      capture_state(cuda, here, status) != CaptureState::kNone) {
    return;
  }
  uint64_t done = 0;  // by device; there are no more than 64
  each_lane([&](Lane& lane) {
    const uint64_t bit = uint64_t{1} << (lane.place.device % 64);
    Device* device = (done & bit) == 0 ? device_at(cuda, lane.place.device) : nullptr;
    if (device != nullptr) {
      done |= bit;
      device->clock.renew(cuda, lane.place.device, cuda.host_now_ns(), true);
      spans_.note_anchor(lane.place.device, device->clock.anchor());
    }
  });
}

void Recorder::reset() noexcept {
  const std::lock_guard<std::mutex> hold(mutex_);  // two at once would tear each other's epochs
  statistics_.reset(epoch_.fetch_add(1, std::memory_order_relaxed) + 1);
}

void Recorder::lock_for_fork() noexcept {
  mutex_.lock();
  sites_.mutex().lock();
}

void Recorder::unlock_after_fork() noexcept {
  sites_.mutex().unlock();
  mutex_.unlock();
}

void Recorder::forget() noexcept {
  process_.store(process_number(), std::memory_order_relaxed);
  life_.store(next_life(), std::memory_order_relaxed);
  for (auto& slot : lanes_) {
    slot.store(nullptr, std::memory_order_relaxed);
  }
  lane_count_ = 0;
  new (&spans_) SpanStore;  // a thread that is gone may have been in the middle of it
  statistics_.abandon();
  open_on_host_.store(0, std::memory_order_relaxed);
}

}  // namespace fasttime
