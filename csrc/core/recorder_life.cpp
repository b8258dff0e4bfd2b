// SPDX-License-Identifier: BSD-3-Clause
// How a recorder begins, ends, starts anew, and survives a fork.
#include <limits>
#include <new>

#include "core/forks.h"
#include "core/recorder.h"
#include "host/process_number.h"

namespace fasttime {
namespace {

uint32_t next_life() noexcept {
  static std::atomic<uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Recorder::Recorder() : process_(process_number()), life_(next_life()) { register_recorder(this); }

Recorder::~Recorder() {
  unregister_recorder(this);
  poll();
  graphs_.release();
  groups_.drop_pending();
  each_lane([](Lane& lane) {
    lane.return_all_to_pool();
    delete &lane;
  });
}

void Recorder::reset() noexcept {
  const std::lock_guard<std::mutex> hold(mutex_);  // two resets at once would mix up their epochs
  read_graphs(std::numeric_limits<size_t>::max(), runtime().host_now_ns());
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
  // A thread of the parent may have been writing to these.
  new (&spans_) SpanStore;
  graphs_.forget();
  new (&groups_) StreamGroups;
  statistics_.forget();
  open_on_host_.store(0, std::memory_order_relaxed);
}

}  // namespace fasttime
