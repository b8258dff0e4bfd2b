// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/graph_stamps.h"

#include <algorithm>
#include <memory>

#include "cuda/contexts.h"
#include "cuda/graph_stamps_ptx.h"

namespace fasttime {
namespace {

constexpr int64_t kStepPatienceNs = 1'000'000'000;
constexpr int64_t kStepPauseNs = 50'000;
constexpr size_t kStepWords = 3;
constexpr unsigned kPinned = cuda::kHostAllocPortable | cuda::kHostAllocMapped;

std::string failed(const CudaRuntime& cuda, const char* function, int status) {
  return std::string(function) + " returned " + std::to_string(status) + " (" +
         cuda.get_error_name(status) + ")";
}

// CUDA calls this on a thread of its own, and forbids calls to CUDA here.
void end_life(void* life) {
  static_cast<GraphLife*>(life)->is_over.store(true, std::memory_order_release);
}

// Lets the graph, and all that is made of it, keep `life` alive. False if CUDA fails.
bool bind_to_graph(const CudaRuntime& cuda, GraphLife& life, void* graph) noexcept {
  void* object = nullptr;
  if (const int status = cuda.user_object_create(&object, &life, &end_life, 1,
                                                 cuda::kUserObjectNoDestructorSync)) {
    note_failure(cuda, "cuUserObjectCreate", status);
    return false;
  }
  const int status = cuda.graph_retain_user_object(graph, object, 1, cuda::kGraphUserObjectMove);
  if (status == cuda::kSuccess) {
    return true;
  }
  note_failure(cuda, "cuGraphRetainUserObject", status);
  if (const int released = cuda.user_object_release(object, 1)) {
    note_failure(cuda, "cuUserObjectRelease", released);
  }
  return false;
}

int launch_one_thread(const CudaRuntime& cuda, void* kernel, void* stream,
                      void** parameters) noexcept {
  int status = cuda.launch_kernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr);
  if (status == cuda::kInvalidContext) {
    // This thread has no context yet. A call of the runtime gives it one.
    int capturing = 0;
    clear_own_error(cuda, cuda.stream_is_capturing(stream, &capturing));
    status = cuda.launch_kernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr);
  }
  return status;
}

}  // namespace

std::string GraphStamps::prepare(const CudaRuntime& cuda, int device, size_t rings,
                                 uint32_t depth) {
  if (cuda.host_alloc == nullptr || cuda.module_load_data == nullptr ||
      cuda.module_get_function == nullptr || cuda.launch_kernel == nullptr ||
      cuda.stream_get_capture_info == nullptr || cuda.user_object_create == nullptr ||
      cuda.user_object_release == nullptr || cuda.graph_retain_user_object == nullptr) {
    return "the CUDA driver is too old; use driver 465 (CUDA 11.3) or newer";
  }
  const std::lock_guard<std::mutex> hold(preparing_);
  if (!refusal_.empty()) {
    return refusal_;
  }
  const RelaxedCaptureGuard relaxed(cuda);
  const ScopedContext guard(cuda, device);
  if (!relaxed.is_relaxed() || !guard.holds()) {
    return "the thread could not be prepared; last_failure names the call";
  }
  if (!is_ready()) {
    std::string why = load(cuda);
    if (why.empty()) {
      why = measure_step(cuda);
    }
    if (!why.empty()) {
      return why;
    }
    is_ready_.store(true, std::memory_order_release);
    renew(cuda, device, true);
  }
  const size_t there = free_rings(depth, cuda.host_now_ns());
  return there >= rings ? std::string() : add_rings(cuda, rings - there, depth);
}

std::string GraphStamps::load(const CudaRuntime& cuda) {
  if (stream_ == nullptr) {
    // The runtime first: it gives this thread a context, which the driver's calls need.
    if (const int status = cuda.stream_create_with_flags(&stream_, cuda::kStreamNonBlocking)) {
      note_runtime_failure(cuda, "cudaStreamCreateWithFlags", status);
      stream_ = nullptr;
      return failed(cuda, "cudaStreamCreateWithFlags", status);
    }
  }
  if (words_ == nullptr) {
    void* words = nullptr;
    if (const int status = cuda.host_alloc(
            &words, kStepWords * sizeof(uint64_t) + 2 * sizeof(StampEntry), kPinned)) {
      note_runtime_failure(cuda, "cudaHostAlloc", status);
      return failed(cuda, "cudaHostAlloc", status);
    }
    words_ = static_cast<uint64_t*>(words);
    std::fill(words_, words_ + kStepWords + 4, 0);
  }
  if (stamp_ == nullptr || timer_step_ == nullptr) {
    void* module = nullptr;
    if (const int status = cuda.module_load_data(&module, kGraphStampsPtx)) {
      note_failure(cuda, "cuModuleLoadData", status);
      return failed(cuda, "cuModuleLoadData", status);
    }
    for (auto [function, name] :
         {std::pair{&stamp_, "fasttime_stamp"}, std::pair{&timer_step_, "fasttime_timer_step"}}) {
      if (const int status = cuda.module_get_function(function, module, name)) {
        note_failure(cuda, "cuModuleGetFunction", status);
        *function = nullptr;
        return failed(cuda, "cuModuleGetFunction", status);
      }
    }
  }
  // On a boundary of 16 bytes, which the kernel's store needs.
  clock_ring_.entries = reinterpret_cast<StampEntry*>(words_ + kStepWords + 1);
  clock_ring_.depth = 1;
  return {};
}

std::string GraphStamps::measure_step(const CudaRuntime& cuda) {
  if (!step_is_launched_) {
    void* out = words_;
    void* parameters[] = {&out};
    if (const int status = launch_one_thread(cuda, timer_step_, stream_, parameters)) {
      note_failure(cuda, "cuLaunchKernel", status);
      return failed(cuda, "cuLaunchKernel", status);
    }
    step_is_launched_ = true;
  }
  const auto answer = [&](size_t index) noexcept {
    return __atomic_load_n(words_ + index, __ATOMIC_ACQUIRE);
  };
  const int64_t start_ns = cuda.host_now_ns();
  while (answer(kStepWords - 1) == 0) {
    if (cuda.host_now_ns() - start_ns > kStepPatienceNs) {
      return "the device was busy for a second, so the step of its timer could not be measured; "
             "enter graph_timing() while the device is idle";
    }
    cuda.pause(kStepPauseNs);
  }
  // The third word counts the differences, and one more. Without a difference the step is unknown,
  // and longer than the kernel.
  const bool is_known = answer(kStepWords - 1) > 1;
  const auto step_ns = static_cast<int64_t>(answer(0));
  if (!is_known || step_ns > kCoarsestStepNs) {
    refusal_ = "the device's timer advances in steps of " +
               (is_known ? std::to_string(step_ns / 1000) + " us" : "many milliseconds") +
               ", which is too coarse for stages of a graph";
  }
  return refusal_;
}

std::string GraphStamps::add_rings(const CudaRuntime& cuda, size_t count, uint32_t depth) {
  size_t first_slot = 0;
  {
    const std::lock_guard<SpinLock> hold(lock_);
    count = std::min(count, kMaxRings + 1 - slots_);
    first_slot = slots_;
  }
  if (count == 0) {
    return "all " + std::to_string(kMaxRings) +
           " stamps of the device are in use; delete graphs that you no longer need";
  }
  void* memory = nullptr;
  if (const int status = cuda.host_alloc(&memory, count * depth * sizeof(StampEntry), kPinned)) {
    note_runtime_failure(cuda, "cudaHostAlloc", status);
    return failed(cuda, "cudaHostAlloc", status);
  }
  auto* entries = static_cast<StampEntry*>(memory);
  std::fill(entries, entries + count * depth, StampEntry{});
  std::vector<StampRing*> made;
  made.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    auto ring = std::make_unique<StampRing>();
    ring->entries = entries + i * depth;
    ring->slot = static_cast<uint32_t>(first_slot + i);
    ring->depth = depth;
    made.push_back(ring.release());
  }
  const std::lock_guard<SpinLock> hold(lock_);
  rings_.reserve(rings_.size() + count);
  free_.reserve(rings_.size() + count);
  rings_.insert(rings_.end(), made.begin(), made.end());
  free_.insert(free_.end(), made.rbegin(), made.rend());
  slots_ += count;
  return {};
}

GraphLease* GraphStamps::lease(const CudaRuntime& cuda, void* graph) noexcept {
  std::unique_ptr<GraphLease> made(new (std::nothrow) GraphLease);
  // On a failure the life is leaked, because CUDA may still write to it.
  auto* life = made == nullptr ? nullptr : new (std::nothrow) GraphLife;
  if (life == nullptr || !bind_to_graph(cuda, *life, graph)) {
    return nullptr;
  }
  made->life = life;
  const std::lock_guard<SpinLock> hold(lock_);
  try {
    leases_.push_back(made.get());
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return made.release();
}

StampRing* GraphStamps::take(GraphLease& lease, uint32_t depth, int64_t now_ns) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  if (count_free(depth) == 0) {
    reclaim(now_ns);
  }
  const auto found = std::find_if(free_.rbegin(), free_.rend(),
                                  [&](const StampRing* ring) { return ring->depth == depth; });
  if (found == free_.rend()) {
    return nullptr;
  }
  StampRing* ring = *found;
  try {
    lease.rings.push_back(ring);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  free_.erase(std::next(found).base());
  return ring;
}

size_t GraphStamps::free_rings(uint32_t depth, int64_t now_ns) noexcept {
  const std::lock_guard<SpinLock> hold(lock_);
  reclaim(now_ns);
  return count_free(depth);
}

size_t GraphStamps::count_free(uint32_t depth) const noexcept {
  return static_cast<size_t>(std::count_if(
      free_.begin(), free_.end(), [&](const StampRing* ring) { return ring->depth == depth; }));
}

void GraphStamps::reclaim(int64_t now_ns) noexcept {
  const auto is_gone = [&](GraphLease* lease) {
    const auto is_read = [](const StampRing* ring) {
      return ring->readers.load(std::memory_order_acquire) == 0;
    };
    if (!lease->life->has_rested(now_ns) ||
        !std::all_of(lease->rings.begin(), lease->rings.end(), is_read)) {
      return false;
    }
    for (StampRing* ring : lease->rings) {
      ring->clear();
      free_.push_back(ring);  // add_rings() has reserved room for all
    }
    delete lease->life;
    delete lease;
    return true;
  };
  leases_.erase(std::remove_if(leases_.begin(), leases_.end(), is_gone), leases_.end());
}

bool GraphStamps::launch(const CudaRuntime& cuda, const Place& place, const StampRing& ring,
                         const StampRing& first, bool ends_scope) noexcept {
  void* entries = ring.entries;
  uint64_t base = ring.base;
  uint64_t first_base = first.base;
  uint32_t slot = ring.slot;
  uint32_t first_slot = first.slot;
  uint32_t mask = ring.depth - 1;
  uint32_t ends = ends_scope ? 1 : 0;
  void* parameters[] = {&entries, &base, &first_base, &slot, &first_slot, &mask, &ends};
  const ScopedContext guard(cuda, place.device);
  if (!guard.holds()) {
    return false;
  }
  const int status = launch_one_thread(cuda, stamp_, place.stream, parameters);
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cuLaunchKernel", status);
  }
  return status == cuda::kSuccess;
}

}  // namespace fasttime
