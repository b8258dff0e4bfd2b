// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/anchor_log.h"
#include "cuda/cuda_runtime.h"
#include "cuda/stamp_ring.h"
#include "cuda/torch_streams.h"
#include "host/spin_lock.h"

namespace fasttime {

// Whether the graph of a capture can still be replayed. `is_over` is set by a thread of CUDA when
// the graph and all that was made of it are gone, and no replay is in flight.
//
// The last replay has then ended, but its times may still be on their way to the host. So code that
// reads or reuses a ring waits a little: until has_rested(), kRestNs after the end was first seen.
struct GraphLife {
  static constexpr int64_t kRestNs = 100'000'000;

  std::atomic<bool> is_over{false};
  std::atomic<int64_t> over_since_ns{0};

  bool has_rested(int64_t now_ns) noexcept {
    if (!is_over.load(std::memory_order_acquire)) {
      return false;
    }
    int64_t since_ns = 0;
    return !over_since_ns.compare_exchange_strong(since_ns, now_ns) && now_ns - since_ns >= kRestNs;
  }
};

// The rings that one captured graph uses. They return once the graph's life is over.
struct GraphLease {
  GraphLife* life = nullptr;  // freed with the lease; CUDA has let go of it by then
  std::vector<StampRing*> rings;
};

// The stamps of one device: kernels with one thread, which write the device's timer into rings in
// pinned memory. Thread-safe.
//
// prepare() loads the kernels and allocates rings, both of which could destroy a capture. All other
// functions are allowed during captures. They allocate nothing on the device, and only renew()
// waits, for up to kMaxBracketNs.
//
// Bounded: at most kMaxRings rings per device, 16 bytes per entry. Pinned memory is never given
// back to CUDA, because that would wait for the device. Rings of graphs that are gone serve later
// graphs.
class GraphStamps {
 public:
  static constexpr size_t kMaxRings = 16384 - 1;  // the kernels have one more counter, the clock's
  // A timer that advances in longer steps is too coarse for stages of a graph.
  static constexpr int64_t kCoarsestStepNs = 2'000;
  static constexpr int64_t kRenewNs = 1'000'000'000;
  static constexpr int64_t kMaxBracketNs = 30'000;

  // Loads the kernels, measures the step of the timer, and makes sure that `rings` rings of `depth`
  // entries are free. Waits for the device, for a second at most; the caller must not hold the GIL.
  // Returns an empty string, or the reason why scopes in captures cannot be timed.
  std::string prepare(const CudaRuntime& cuda, int device, size_t rings, uint32_t depth);
  // Whether prepare() has succeeded.
  bool is_ready() const noexcept { return is_ready_.load(std::memory_order_acquire); }

  // A lease for the graph that a stream captures, kept alive by that graph. Null, with the reason
  // noted, if CUDA fails.
  GraphLease* lease(const CudaRuntime& cuda, void* graph) noexcept;
  // A ring for the lease's graph; null if no ring of this depth is free.
  StampRing* take(GraphLease& lease, uint32_t depth, int64_t now_ns) noexcept;
  // How many rings of this depth are free.
  size_t free_rings(uint32_t depth, int64_t now_ns) noexcept;

  // Launches a stamp on a stream, usually into a capture. `first` counts the passes that have
  // begun. False, with the failure noted, if CUDA fails.
  bool launch(const CudaRuntime& cuda, const Place& place, const StampRing& ring,
              const StampRing& first, bool ends_scope) noexcept;

  // Compares the timer with the host's clock, if the last comparison is old enough, or in any case
  // with `at_once`. Releases the GIL while it polls. `device` need not be current.
  void renew(const CudaRuntime& cuda, int device, bool at_once) noexcept;
  // Places a moment of the timer on the host's clock. False if the clocks were never compared, or
  // another thread compares them.
  bool place(StampTime time, PlacedMoment& moment) noexcept;

 private:
  std::string load(const CudaRuntime& cuda);
  std::string measure_step(const CudaRuntime& cuda);
  std::string add_rings(const CudaRuntime& cuda, size_t count, uint32_t depth);
  // Returns the rings of graphs that are gone. Needs lock_.
  void reclaim(int64_t now_ns) noexcept;
  size_t count_free(uint32_t depth) const noexcept;
  void adopt(int64_t host_ns, int64_t bracket_ns, StampTime time) noexcept;

  std::mutex preparing_;  // guards loading; held across CUDA calls and waits
  std::atomic<bool> is_ready_{false};
  std::string refusal_;  // why this device cannot be used, once that is known
  void* stream_ = nullptr;
  void* stamp_ = nullptr;
  void* timer_step_ = nullptr;
  uint64_t* words_ = nullptr;  // pinned: the answer of the step kernel, then the clock's entry
  bool step_is_launched_ = false;

  SpinLock lock_;                  // guards the next four
  std::vector<StampRing*> rings_;  // all of them
  std::vector<StampRing*> free_;
  std::vector<GraphLease*> leases_;
  size_t slots_ = 1;  // of counters on the device; slot 0 is the clock's

  // Held across CUDA calls, so threads only try it. Guards the rest.
  SpinLock clock_lock_;
  StampRing clock_ring_;
  uint64_t clock_passes_ = 0;  // launched
  int64_t last_attempt_ns_ = 0;
  AnchorPoint anchor_;
  StampTime anchor_time_ = 0;
};

}  // namespace fasttime
