// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "core/graph_scopes.h"
#include "core/handle_series.h"
#include "core/lane.h"
#include "core/site_table.h"
#include "core/span_store.h"
#include "core/statistics.h"
#include "core/stream_groups.h"
#include "cuda/cuda_runtime.h"

namespace fasttime {

// One pass through a site, between begin() and end(). The caller owns it, and calls end() or
// abandon() once for each begin(), from any thread.
struct OpenScope {
  Lane* lane = nullptr;  // null: timed on the host only
  Event* begin_event = nullptr;
  int64_t host_begin_ns = 0;
  uint32_t begun_by = 0;  // thread_number() of the thread that recorded begin_event
  SiteTable::Id site = SiteTable::kRoot;
  uint32_t epoch = 0;
  uint32_t process = 0;  // process_number() of the process that began it; 0: begun in no process
  Status status = Status::kHostOnly;
  bool shares_boundary = false;
  uint16_t group = 0;  // index of its StreamGroup if it covers several streams; `lane` is null then
  Nesting nesting;     // of a handle's scope; set after the begin
  GraphBegin in_graph;  // without a lane, and with a stamp: the scope is part of a CUDA graph
};

// What an open scope becomes when it ends.
inline Pending pending_of(const OpenScope& scope, Event* end, int64_t host_end_ns) noexcept {
  Pending pending;
  pending.begin = scope.begin_event;
  pending.end = end;
  pending.host_begin_ns = scope.host_begin_ns;
  pending.host_end_ns = host_end_ns;
  pending.thread = scope.begun_by;
  pending.site = scope.site;
  pending.epoch = scope.epoch;
  pending.status = scope.status;
  pending.shares_boundary = scope.shares_boundary;
  pending.nesting = scope.nesting;
  return pending;
}

// Counts of the whole recorder, over all sites.
struct RecorderCounts {
  uint64_t open = 0;
  uint64_t pending = 0;
  uint64_t refused_sites = 0;
};

// The boundary that a thread recorded last; see thread_boundary.h.
struct ThreadBoundary;
// The boundary at which scopes of a handle met last; see recorder_nested.cpp.
struct Meeting {
  Lane* lane = nullptr;
  Event* event = nullptr;
  uint32_t serial = 0;
  uint32_t thread = 0;
};

// Owns sites, lanes and statistics. All members are thread-safe. Only drain() waits.
//
// begin(), end(), change_phase() and abandon() allocate nothing once their lane and site are known.
// They report failures as the status of a sample.
//
// A scope and its events come to their end in one of these ways, here and in Lane:
//   end      the scope ended: a sample with times follows
//   abandon  the scope will never end: a sample without times follows, counted as dropped
//   cancel   the scope should never have begun: no sample follows
//   release  drops a reference to an event
//
// Bounded: at most kMaxLanes streams. Scopes on further streams are counted as dropped.
class alignas(64) Recorder {
 public:
  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  SiteTable& sites() noexcept { return sites_; }
  // process_number() of this process.
  uint32_t process() const noexcept { return process_.load(std::memory_order_relaxed); }

  // --- the hot path ---

  // A thread calls enter_call() when it enters this library and leave_call() when it leaves.
  // fasttime puts no work on a stream in between, so this time does not count towards the share
  // window. enter_call() returns the host time, or 0 without CUDA. begin(), end() and
  // change_phase() call enter_call() themselves; use it only to cover more work than theirs.
  int64_t enter_call() noexcept;
  void leave_call() noexcept;
  // Whether enter_call() and leave_call() have an effect.
  bool shares_boundaries() const noexcept {
    return share_window_ns_.load(std::memory_order_relaxed) != 0 && runtime().has_cuda;
  }

  // Begins a scope: gets an event for the boundary and takes the host time. The event lies on
  // torch's current stream, or on `chosen`; device -1 in `chosen` means the current device. If
  // `chosen` stands for several streams (places.h), one event lies on each of them.
  // `entered_ns` is the result of enter_call().
  // begin() and end() never throw. They are not noexcept, because Python may end a thread that asks
  // for the GIL during shutdown, and does so by unwinding the thread's stack.
  void begin(OpenScope& scope, SiteTable::Id site, const Place* chosen, int64_t entered_ns);
  void begin(OpenScope& scope, SiteTable::Id site, const Place* chosen) {
    begin(scope, site, chosen, enter_call());
  }
  // Ends a scope: takes the host time and gets an event for the boundary, on the stream of the
  // begin. The caller calls leave_call() afterwards.
  void end(OpenScope& scope);
  // Abandons a scope that will never end. It is counted as dropped, without times.
  void abandon(OpenScope& scope) noexcept;
  // Cancels a scope that should never have begun. It is not counted and is in no timeline.
  void cancel(OpenScope& scope) noexcept;

  // --- phases: stretches of a block that lie end to end ---
  //
  // The first phase of a block has a begin of its own, which usually shares the block's event. Each
  // further phase begins on the event that ends the previous phase. The last phase ends on the
  // event that ends the block.

  // Begins the first phase, or a phase after a pause, on the block's lane. `chosen` is for a block
  // without a lane, as for begin(). After a fork, a phase of a block from before does nothing.
  void begin_phase(OpenScope& phase, SiteTable::Id site, const OpenScope& block,
                   const Place* chosen);
  // Ends the phase, and begins a phase of `site` at the same boundary. When the boundary has no
  // event, or the lane has no room, the new phase has no lane; call retry_phase() then.
  void change_phase(OpenScope& phase, SiteTable::Id site);
  // Tries once more to begin the device side of a phase that change_phase() left without a lane:
  // the reason, such as a capture, may be over. `chosen` as for begin().
  void retry_phase(OpenScope& phase, const Place* chosen);
  // Ends a block together with its last phase, on one event.
  void end_block(OpenScope& block, OpenScope& phase);

  // --- scopes of a handle: modules, which nest ---

  // Counts what HandleSeries has, from now on. Throws std::bad_alloc.
  void count_for_handle() { statistics_.count_for_handle(); }
  HandleSeries* handle_series() const noexcept { return statistics_.handle_series(); }

  // Ends `ended`, from the innermost on, and begins `begun` on torch's current stream, from the
  // outermost on, at one boundary per lane. `last` is the last boundary of such scopes on this
  // thread; with `is_same_moment`, nothing was put on a stream since, and the scopes share its
  // event. The scopes in `begun` must be new and have their site. The caller calls enter_call()
  // before, and leave_call() afterwards.
  void meet(Meeting& last, bool is_same_moment, OpenScope* const* ended, size_t ended_count,
            OpenScope* const* begun, size_t begun_count);

  // --- reading ---

  // Resolves everything that is ready, on every lane.
  void poll() noexcept;
  // Everything that is pending now, for drain() to wait for.
  struct Mark {
    std::vector<std::pair<Lane*, uint64_t>> lanes;
    uint64_t groups = 0;
  };
  Mark mark();
  // Waits, with growing pauses, until everything up to the mark is resolved, or until the runtime's
  // host clock passes `deadline_ns`. True when resolved. The caller must not hold the GIL.
  bool drain(const Mark& mark, int64_t deadline_ns) noexcept;

  // One entry per site, by id. `take` clears each in the same step.
  std::vector<SiteSummary> summaries(bool take);
  std::vector<Sample> recent(SiteTable::Id site) const;
  std::vector<Sample> take_recent(SiteTable::Id site);
  RecorderCounts counts() const noexcept;

  // --- a timeline: the spans of an interval ---

  // Keeps up to `limit` spans from now on. False if a timeline is being recorded already. Takes an
  // anchor on each device in use.
  bool start_spans(size_t limit) noexcept;
  // Keeps no scope that ends from now on. Pending scopes are still kept, once resolved.
  void close_spans() noexcept { spans_.close(runtime().host_now_ns()); }
  // Stops, and returns the spans. Takes an anchor on each device first, to place the spans well.
  SpanStore::Taken take_spans();

  // Forgets all samples. Scopes that are open or pending never count. Sites stay known.
  void reset() noexcept;

  // How many samples to keep per site; 0 keeps none.
  void set_keep(size_t count) noexcept { statistics_.set_keep(count); }

  // Boundaries on one lane and thread that lie less than this apart share an event; 0: never.
  void set_share_window(int64_t ns) noexcept { share_window_ns_.store(ns); }

  // The scopes that lie in CUDA graphs. Their sites get one sample per replay, without host time.
  // A sample counts when it is read. A reset reads all finished replays first, so they count
  // before the reset.
  GraphScopes& graphs() noexcept { return graphs_; }

  // --- for forks.cpp ---

  void lock_for_fork() noexcept;
  void unlock_after_fork() noexcept;
  // Empties the recorder in the child of a fork. Frees nothing and calls nothing of CUDA, because
  // lanes and events belong to the parent process.
  void forget() noexcept;
  // Gives the calling thread a new number, and forgets the boundary that it recorded last.
  static void forget_thread() noexcept;

 private:
  static constexpr size_t kMaxLanes = 1024;
  static constexpr size_t kLaneSlots = 2 * kMaxLanes;

  void begin_at(const CudaRuntime& cuda, int64_t now_ns, OpenScope& scope, const Place& place);
  void begin_on_chosen(const CudaRuntime& cuda, int64_t now_ns, OpenScope& scope,
                       const Place& chosen);
  // The same for a scope over several streams, and its end.
  void begin_on_streams(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns,
                        OpenScope& scope, const Places& places);
  void end_on_streams(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns,
                      OpenScope& scope);
  // Turns groups into samples, `limit` of them at most.
  void resolve_groups(const CudaRuntime& cuda, size_t limit, int64_t now_ns) noexcept;
  // The event that marks this moment on the lane: a new record, or the event that this thread
  // recorded a moment ago. `last` is this thread's. A begin (scope.begin_event is null) also books
  // room on the lane. Null, with nothing booked, if there is no event; `scope.status` then says
  // why.
  Event* boundary(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns, Lane& lane,
                  OpenScope& scope);
  // Records a new event for boundary(). `is_plain` as for record_event().
  Event* record_boundary(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns, Lane& lane,
                         OpenScope& scope, bool is_plain);
  // The same if the driver does not take the stream for a stream of the lane's device.
  Event* record_boundary_elsewhere(const CudaRuntime& cuda, ThreadBoundary& last, int64_t now_ns,
                                   Lane& lane, OpenScope& scope);
  // Finds an event for boundary() when the lane has no free event, or no room.
  Event* find_event(const CudaRuntime& cuda, int64_t now_ns, Lane& lane, OpenScope& scope) noexcept;
  // The boundary of the calling thread, with the thread's number.
  static ThreadBoundary& this_thread() noexcept;
  // Makes a scope pending. `end` is null if there is no event for its end.
  void push_ended(const CudaRuntime& cuda, Lane& lane, const OpenScope& scope, Event* end,
                  int64_t host_end_ns);
  // Reads older scopes after some of the pushes.
  void read_now_and_then(const CudaRuntime& cuda, int64_t now_ns, Lane& lane,
                         uint64_t pushed) noexcept;
  // Keeps an open scope without a lane: from now on it is timed on the host only.
  void continue_on_host(OpenScope& scope, Status status) noexcept;
  // The same after CUDA was retired, for a scope that has a lane.
  void release_lost_lane(OpenScope& scope) noexcept;
  // The whole of end(), for a scope without a lane.
  void end_on_host(OpenScope& scope, int64_t now_ns);
  // Ends a scope that lies in a graph. False if the scope does not.
  bool end_in_graph(const OpenScope& scope) noexcept;
  // What boundary() does if there is no event because of a capture, or of a failed question.
  void refuse(const CudaRuntime& cuda, CaptureState capture, int status, const Lane& lane,
              OpenScope& scope) noexcept;
  void read_graphs(size_t limit, int64_t now_ns) noexcept;
  Lane* lane_at(const CudaRuntime& cuda, const Place& place) noexcept;
  static Status why_no_lane(const CudaRuntime& cuda, const Place& place) noexcept;
  void resolve(const CudaRuntime& cuda, Lane& lane, size_t limit, int64_t now_ns) noexcept;
  // The event of a meeting for one more scope; as boundary().
  Event* meeting_event(const CudaRuntime& cuda, Meeting& meeting, bool& is_same_moment,
                       int64_t now_ns, Lane& lane, OpenScope& scope);
  // The lane of torch's current stream; null, with the scope's status set, if there is none.
  Lane* current_lane(const CudaRuntime& cuda, OpenScope& scope) noexcept;
  void add_unresolved(const OpenScope& scope, int64_t host_end_ns) noexcept;
  // Takes an anchor on each device that has a lane here, for the timeline.
  void anchor_devices() noexcept;

  template <typename Visit>
  void each_lane(Visit visit) const {
    for (const auto& slot : lanes_) {
      if (Lane* lane = slot.load(std::memory_order_acquire)) {
        visit(*lane);
      }
    }
  }

  // Every scope reads these, so they lie in the first cache line.
  std::atomic<uint32_t> process_;  // process_number() of this process
  std::atomic<uint32_t> epoch_{0};
  // Differs between recorders, and changes with a fork: a ThreadBoundary of another life is stale.
  std::atomic<uint32_t> life_;
  std::atomic<int64_t> share_window_ns_{250};
  std::atomic<int64_t> open_on_host_{0};  // open scopes without a lane; a lane counts its own

  SiteTable sites_;
  StatisticsTable statistics_;
  SpanStore spans_;
  GraphScopes graphs_;
  StreamGroups groups_;

  // By hash of their place, read without a lock. The release on a slot pairs with the acquire of
  // its readers. A lane lives as long as its recorder.
  std::array<std::atomic<Lane*>, kLaneSlots> lanes_{};
  size_t lane_count_ = 0;  // guarded by mutex_
  std::mutex mutex_;       // guards making lanes, and resets
};

}  // namespace fasttime
