// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/site_table.h"
#include "core/span_store.h"
#include "core/statistics.h"
#include "cuda/cuda_runtime.h"
#include "cuda/graph_stamps.h"
#include "cuda/torch_streams.h"
#include "host/spin_lock.h"

namespace fasttime {

// The point of a capture at which a scope began. Part of an open scope.
struct GraphBegin {
  StampRing* stamp = nullptr;  // null: the scope did not begin with a stamp
  uint64_t track = 0;          // the number of its GraphTrack
};

// The scopes of a recorder that lie in CUDA graphs. Each boundary of such a scope is a stamp in the
// graph, so that each replay yields one sample.
//
// begin() and end() run during a capture. They launch at most one stamp each into the capture, and
// never wait for the device. Boundaries with nothing between them share one stamp; this is exact,
// because CUDA says which node of the graph a stream would follow. read() never calls CUDA.
//
// The n-th pass of the end stamp and the n-th pass of the begin stamp belong to one replay, unless
// replays overlap, as two instantiations of one capture can. Then a pass of an end is not alone
// (stamp_ring.h), from the first overlap until all replays have ended. A sample counts only if its
// end and the end before it are alone: exactly then no other replay ran between its two stamps.
// All other samples, and those that later replays have overwritten, count as lost.
//
// Thread-safe. Bounded by the rings of the device: see GraphStamps.
class GraphScopes {
 public:
  // Scopes in captures are timed while this is above 0.
  void add_users(int count) noexcept { users_.fetch_add(count, std::memory_order_relaxed); }
  void set_depth(uint32_t depth) noexcept { depth_.store(depth, std::memory_order_relaxed); }
  bool is_on() const noexcept { return users_.load(std::memory_order_relaxed) > 0; }

  // Loads the kernels on each device that the process uses, and reserves room for `scopes` further
  // scopes in graphs. May wait, for a second per device at most: see GraphStamps::prepare().
  void prepare(const CudaRuntime& cuda, size_t scopes);

  // Begins a scope on a stream that captures. On failure, `begin` stays empty and refusal() says
  // why.
  void begin(const CudaRuntime& cuda, const Place& place, GraphBegin& begin,
             bool& shares_boundary) noexcept;
  // Ends such a scope. False if the scope cannot be timed, because its capture is over or CUDA
  // failed.
  bool end(const CudaRuntime& cuda, const GraphBegin& begin, SiteTable::Id site, uint32_t thread,
           bool shares_boundary) noexcept;

  // Turns finished passes into samples, at most `limit`. Returns at once if another thread reads.
  void read(StatisticsTable& statistics, SpanStore& spans, uint32_t epoch, size_t limit,
            int64_t now_ns) noexcept;
  // Whether there is anything to read.
  bool has_scopes() const noexcept { return has_scopes_.load(std::memory_order_relaxed); }
  // Compares the clocks of all devices in use: see GraphStamps::renew().
  void renew_clocks(const CudaRuntime& cuda, bool at_once) noexcept;

  // Why the last scope in a capture could not be timed; empty if there was none.
  std::string refusal();
  // Gives up all scopes, so that their rings can be used again. The scopes must not be used later.
  void release() noexcept;
  // Forgets all scopes without freeing anything, in the child of a fork. Users stay: the child has
  // the same `with graph_timing()` blocks, and exits them.
  void forget() noexcept;

 private:
  // One stream in one capture.
  struct GraphTrack {
    uint64_t number = 0;
    uint64_t capture = 0;
    Place place;
    GraphStamps* stamps = nullptr;
    GraphLease* lease = nullptr;
    StampRing* first = nullptr;  // counts the replays that have begun
    StampRing* last = nullptr;
    void* last_node = nullptr;  // of the last stamp; null if unknown
  };
  // One scope in a graph.
  struct GraphScope {
    GraphStamps* stamps = nullptr;
    GraphLife* life = nullptr;
    StampRing* begin = nullptr;
    StampRing* end = nullptr;
    Place place;
    SiteTable::Id site = SiteTable::kRoot;
    uint32_t thread = 0;
    bool shares_boundary = false;
    bool was_alone = true;  // the end before the next one
    uint64_t next = 0;      // the pass to read next
  };
  // The capture in which a stream is.
  struct Capture {
    uint64_t id = 0;
    void* graph = nullptr;
  };
  enum class Next { kNothing, kSample, kLost };

  static constexpr size_t kMaxTracks = 64;  // captures at the same time, times their streams

  void accept_arriving() noexcept;  // needs the right to read
  bool ask(const CudaRuntime& cuda, const Place& place, Capture& capture) noexcept;
  GraphTrack* track_of(const CudaRuntime& cuda, const Place& place) noexcept;
  GraphTrack* find_track(uint64_t number) noexcept;
  StampRing* boundary(const CudaRuntime& cuda, GraphTrack& track, const StampRing* own_begin,
                      bool ends_scope, bool& shares_boundary) noexcept;
  void refuse(const char* why) noexcept;

  Next next(GraphScope& scope, StampRing::Pass& begin, StampRing::Pass& end,
            uint64_t& lost) noexcept;
  // False if nothing more is ready.
  bool read_one(GraphScope& scope, StatisticsTable& statistics, SpanStore& spans,
                uint32_t epoch) noexcept;
  // Drops the scopes whose graph is gone, once all their samples were read.
  void drop_finished(int64_t now_ns) noexcept;
  void drop(const GraphScope& scope) noexcept;

  std::atomic<int> users_{0};
  std::atomic<uint32_t> depth_{1024};
  std::atomic<bool> has_scopes_{false};

  std::mutex mutex_;  // guards the next four; held by begins and ends in captures
  std::vector<GraphTrack> tracks_;
  uint64_t last_track_ = 0;
  std::string refusal_;
  std::string unprepared_;  // why prepare() could not prepare a device

  SpinLock arriving_lock_;  // guards arriving_
  std::vector<GraphScope> arriving_;
  SpinLock reading_;  // the right to read; only ever tried, except by release()
  std::vector<GraphScope> scopes_;
  size_t turn_ = 0;  // the scope to read first
};

}  // namespace fasttime
