// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "core/lane.h"
#include "core/site_table.h"
#include "core/span_store.h"
#include "core/statistics.h"
#include "cuda/cuda_runtime.h"

namespace fasttime {

// One pass through a site, between begin() and end(). Owned by the caller, who calls end() or
// abandon() once for each begin(), from any thread.
struct OpenScope {
  Lane* lane = nullptr;  // null: nothing of it is on a device
  Event* begin_event = nullptr;
  int64_t host_begin_ns = 0;
  uint32_t begun_by = 0;  // the thread that recorded begin_event, as thread_number() has it
  SiteTable::Id site = SiteTable::kRoot;
  uint32_t epoch = 0;
  uint32_t process = 0;  // which process began it: a fork makes a new one
  Status status = Status::kHostOnly;
  bool shares_boundary = false;
};

// The counts that belong to no one site.
struct RecorderCounts {
  uint64_t open = 0;
  uint64_t pending = 0;
  uint64_t refused_sites = 0;
};

// The boundary that a thread recorded last; see recorder.cpp.
struct ThreadBoundary;

// Owns sites, lanes and statistics. All members are thread-safe; only drain() waits. begin(), end()
// and abandon() allocate nothing once their lane and site are known, and report trouble as the
// status of a sample.
//
// Bounded: kMaxLanes streams; scopes on further ones are counted as dropped.
class alignas(64) Recorder {
 public:
  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  SiteTable& sites() noexcept { return sites_; }
  // Which process this is, as process_number() has it.
  uint32_t process() const noexcept { return process_.load(std::memory_order_relaxed); }

  // --- the hot path ---

  // The calling thread comes into this library, and goes out again. What passes in between is no
  // time in which it could have put work on a stream, which decides whether two boundaries share an
  // event. Returns the host time; without CUDA, nothing of use. Needed only where there is more to
  // do than begin() or end().
  int64_t enter_call() noexcept;
  void leave_call() noexcept;
  // Whether that matters.
  bool shares_boundaries() const noexcept {
    return share_window_ns_.load(std::memory_order_relaxed) != 0 && runtime().has_cuda;
  }

  // Records an event on torch's current stream, or on `chosen`, whose device may be -1 for the
  // current one, and takes the host time. `entered_ns` is what enter_call() returned.
  // Neither begin() nor end() throws. They are not noexcept only because a thread that takes the
  // GIL back while the interpreter shuts down may be ended there, by unwinding its stack.
  void begin(OpenScope& scope, SiteTable::Id site, const Place* chosen, int64_t entered_ns);
  void begin(OpenScope& scope, SiteTable::Id site, const Place* chosen) {
    begin(scope, site, chosen, enter_call());
  }
  // Takes the host time and records the other event, on the stream of the first. leave_call() is
  // the caller's.
  void end(OpenScope& scope);
  // Gives up a scope that will never end. Counted as dropped, without times.
  void abandon(OpenScope& scope) noexcept;

  // --- laps: sections of a scope, end to end, one event between two ---

  // Begins a section at the boundary that `scope` began at.
  void begin_section(OpenScope& section, const OpenScope& scope) noexcept;
  // Ends the section as one pass of `site`, and begins the next at the same boundary. Where that
  // has no event, or no room, the next has no lane.
  void lap(OpenScope& section, SiteTable::Id site);
  // Gives the section just begun by lap() without a lane another try, as any scope that begins now
  // has it: what was in the way, as a capture, may be over. `chosen` as begin() has it.
  void retry_section(OpenScope& section, const Place* chosen);
  // Ends the section without a sample: nobody has named it.
  void drop_section(OpenScope& section) noexcept;

  // --- reading ---

  // Resolves whatever is ready, on every lane.
  void poll() noexcept;
  // A mark that drain() can wait for: everything pending now.
  using Mark = std::vector<std::pair<Lane*, uint64_t>>;
  Mark mark();
  // Waits, with growing pauses, until everything up to the mark is resolved or `deadline_ns` of the
  // runtime's host clock has passed. True when resolved. The caller must not hold the GIL.
  bool drain(const Mark& mark, int64_t deadline_ns) noexcept;

  // One entry a site, by id. With `take` it is cleared in the same step.
  std::vector<SiteSummary> summaries(bool take);
  std::vector<Sample> recent(SiteTable::Id site) const;
  RecorderCounts counts() const noexcept;

  // --- a timeline: the spans of an interval ---

  // From now on keeps up to `limit` spans. False where a timeline is recorded already. Takes an
  // anchor on each device that is in use.
  bool start_spans(size_t limit) noexcept;
  // Scopes that end from now on are not kept; those that are pending still are, once resolved.
  void close_spans() noexcept { spans_.close(runtime().host_now_ns()); }
  // Stops, and hands over what was kept. Takes an anchor on each device first, to place it well.
  SpanStore::Taken take_spans();

  // Forgets all samples, those of scopes still open or pending included. Sites stay known.
  void reset() noexcept;

  // How many samples to keep for each site; 0 for none.
  void set_keep(size_t count) noexcept { statistics_.set_keep(count); }

  // Two boundaries on one lane and thread that are less than this apart use one event; 0: never.
  void set_share_window(int64_t ns) noexcept { share_window_ns_.store(ns); }

  // --- for process.cpp ---

  void lock_for_fork() noexcept;
  void unlock_after_fork() noexcept;
  // Empty again, with nothing freed and no CUDA call: what there was belongs to another process.
  void forget() noexcept;
  // The calling thread has another number from here on, and has recorded nothing.
  static void forget_thread() noexcept;

 private:
  static constexpr size_t kMaxLanes = 1024;
  static constexpr size_t kLaneSlots = 2 * kMaxLanes;

  // What a begin or an end knows as it comes in.
  struct Moment {
    const CudaRuntime& cuda;
    ThreadBoundary& last;
    int64_t now_ns;
  };

  void begin_at(const Moment& moment, OpenScope& scope, const Place& place);
  void begin_on_chosen(const Moment& moment, OpenScope& scope, const Place& chosen);
  // The event that marks this moment on the lane: a fresh one, recorded now, or the one that this
  // thread recorded a moment ago. Where it is the scope's first, room is booked with it. Null, with
  // nothing booked, where there is none; `scope.status` then says why. `is_plain` as record_event()
  // has it.
  Event* boundary(const Moment& moment, Lane& lane, OpenScope& scope, bool is_plain);
  // The same where another device may be current than the lane's.
  Event* boundary_anywhere(const Moment& moment, Lane& lane, OpenScope& scope);
  Event* boundary_elsewhere(const Moment& moment, Lane& lane, OpenScope& scope);
  // What boundary() does where the lane has no event at hand, or no room.
  Event* find_event(const Moment& moment, Lane& lane, OpenScope& scope) noexcept;
  // Now and then, after a push, reads what came before it.
  void read_now_and_then(const Moment& moment, Lane& lane, uint64_t pushed) noexcept;
  // Gives up the device side of an open scope, as CUDA is retired; it is open on the host then.
  void leave_lost_lane(OpenScope& scope) noexcept;
  // Goes on without a lane, for want of an event or of room.
  void leave_lane(OpenScope& scope, Status status) noexcept;
  Lane* lane_at(const CudaRuntime& cuda, const Place& place) noexcept;
  static Status why_no_lane(const CudaRuntime& cuda, const Place& place) noexcept;
  void resolve(const CudaRuntime& cuda, Lane& lane, size_t limit, int64_t now_ns) noexcept;
  void add_unresolved(const OpenScope& scope, int64_t host_end_ns) noexcept;
  // Takes an anchor on each device that has a lane here, and tells the timeline of it.
  void anchor_devices() noexcept;

  template <typename Visit>
  void each_lane(Visit visit) const {
    for (const auto& slot : lanes_) {
      if (Lane* lane = slot.load(std::memory_order_acquire)) {
        visit(*lane);
      }
    }
  }

  // What every scope looks at, in the first cache line.
  std::atomic<uint32_t> process_;  // of which this is a recorder
  std::atomic<uint32_t> epoch_{0};
  // Tells recorders apart, and a recorder from itself before a fork: no two lives have one number.
  std::atomic<uint32_t> life_;
  std::atomic<int64_t> share_window_ns_{250};
  std::atomic<int64_t> open_on_host_{0};  // those open on a lane are the lane's to count

  SiteTable sites_;
  StatisticsTable statistics_;
  SpanStore spans_;

  // By hash of their place, read without a lock: the release on a slot pairs with the acquire of
  // its readers. A lane lives as long as its recorder.
  std::array<std::atomic<Lane*>, kLaneSlots> lanes_{};
  size_t lane_count_ = 0;  // guarded by mutex_
  std::mutex mutex_;       // guards the making of lanes, and resets
};

}  // namespace fasttime
