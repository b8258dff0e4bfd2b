// SPDX-License-Identifier: BSD-3-Clause
// Scopes in captures: begin, end, and the stamps between them. graph_reading.cpp reads the samples.
#include "core/graph_scopes.h"

#include <algorithm>
#include <new>

#include "cuda/contexts.h"
#include "cuda/devices.h"

namespace fasttime {

void GraphScopes::prepare(const CudaRuntime& cuda, size_t scopes) {
  std::string refusal;
  for (int index = 0; index < cuda.device_count; ++index) {
    Device* device = is_started(cuda, index) ? device_at(cuda, index) : nullptr;
    if (device == nullptr) {
      continue;
    }
    const std::string why =
        device->stamps.prepare(cuda, index, 2 * scopes, depth_.load(std::memory_order_relaxed));
    if (!why.empty()) {
      refusal = "on cuda:" + std::to_string(index) + ", " + why;
    }
  }
  const std::lock_guard<std::mutex> hold(mutex_);
  refusal_ = unprepared_ = refusal;
}

void GraphScopes::begin(const CudaRuntime& cuda, const Place& place, GraphBegin& begin,
                        bool& shares_boundary) noexcept {
  const std::lock_guard<std::mutex> hold(mutex_);
  GraphTrack* track = track_of(cuda, place);
  if (track == nullptr) {
    return;
  }
  begin.stamp = boundary(cuda, *track, nullptr, false, shares_boundary);
  begin.track = track->number;
}

bool GraphScopes::end(const CudaRuntime& cuda, const GraphBegin& begin, SiteTable::Id site,
                      uint32_t thread, bool shares_boundary) noexcept {
  const std::lock_guard<std::mutex> hold(mutex_);
  GraphTrack* track = find_track(begin.track);
  Capture capture;
  if (track == nullptr || !ask(cuda, track->place, capture) || capture.id != track->capture) {
    refuse("the scope ended after the capture in which it began; end it inside");
    return false;
  }
  GraphScope made;
  made.end = boundary(cuda, *track, begin.stamp, true, shares_boundary);
  if (made.end == nullptr) {
    return false;
  }
  made.stamps = track->stamps;
  made.life = track->lease->life;
  made.begin = begin.stamp;
  made.place = track->place;
  made.site = site;
  made.thread = thread;
  made.shares_boundary = shares_boundary;
  const std::lock_guard<SpinLock> arrive(arriving_lock_);
  try {
    arriving_.push_back(made);
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (StampRing* ring : {made.begin, made.end}) {
    ring->readers.fetch_add(1, std::memory_order_relaxed);
  }
  has_scopes_.store(true, std::memory_order_relaxed);
  return true;
}

bool GraphScopes::ask(const CudaRuntime& cuda, const Place& place, Capture& capture) noexcept {
  const ScopedContext guard(cuda, device_to_switch_to(place));
  int state = 0;
  if (cuda.stream_get_capture_info == nullptr) {
    return false;  // prepare() has said that the driver is too old
  }
  const int status = cuda.stream_get_capture_info(place.stream, &state, &capture.id, &capture.graph,
                                                  nullptr, nullptr);
  if (status != cuda::kSuccess && status != cuda::kStreamCaptureImplicit) {
    note_failure(cuda, "cuStreamGetCaptureInfo_v2", status);
  }
  return status == cuda::kSuccess && state == cuda::kCaptureActive;
}

GraphScopes::GraphTrack* GraphScopes::find_track(uint64_t number) noexcept {
  const auto found = std::find_if(tracks_.begin(), tracks_.end(),
                                  [&](const GraphTrack& track) { return track.number == number; });
  return found == tracks_.end() ? nullptr : &*found;
}

GraphScopes::GraphTrack* GraphScopes::track_of(const CudaRuntime& cuda,
                                               const Place& place) noexcept {
  Capture capture;
  if (!ask(cuda, place, capture)) {
    refuse("CUDA did not say in which capture the stream is");
    return nullptr;
  }
  for (GraphTrack& track : tracks_) {
    if (track.capture == capture.id && track.place.stream == place.stream &&
        track.place.device == place.device) {
      return &track;
    }
  }
  Device* device = device_at(cuda, place.device);
  if (device == nullptr || !device->stamps.is_ready()) {
    refuse(unprepared_.empty() ? "graph_timing() had not prepared the device; enter it before the "
                                 "capture, and after the first use of the device"
                               : unprepared_.c_str());
    return nullptr;
  }
  GraphTrack made;
  made.number = last_track_ + 1;
  made.capture = capture.id;
  made.place = place;
  made.stamps = &device->stamps;
  try {
    if (tracks_.size() == kMaxTracks) {
      tracks_.erase(tracks_.begin());  // the oldest, whose capture is over
    }
    tracks_.push_back(made);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  GraphTrack& track = tracks_.back();
  track.lease = track.stamps->lease(cuda, capture.graph);
  if (track.lease == nullptr) {
    tracks_.pop_back();
    refuse("CUDA could not say when the graph ends; last_failure names the call");
    return nullptr;
  }
  last_track_ = track.number;
  return &track;
}

namespace {

// The only node that the next node of this stream will follow; null if there are others, or none.
void* only_dependency(const CudaRuntime& cuda, void* stream) noexcept {
  int state = 0;
  uint64_t id = 0;
  void* graph = nullptr;
  void* const* nodes = nullptr;
  size_t count = 0;
  const int status = cuda.stream_get_capture_info(stream, &state, &id, &graph, &nodes, &count);
  const bool is_known = status == cuda::kSuccess && state == cuda::kCaptureActive;
  return is_known && count == 1 && nodes != nullptr ? nodes[0] : nullptr;
}

}  // namespace

StampRing* GraphScopes::boundary(const CudaRuntime& cuda, GraphTrack& track,
                                 const StampRing* own_begin, bool ends_scope,
                                 bool& shares_boundary) noexcept {
  if (track.last != nullptr && track.last != own_begin && track.last_node != nullptr &&
      only_dependency(cuda, track.place.stream) == track.last_node) {
    shares_boundary = true;
    return track.last;
  }
  StampRing* ring =
      track.stamps->take(*track.lease, depth_.load(std::memory_order_relaxed), cuda.host_now_ns());
  if (ring == nullptr) {
    refuse("all stamps are in use; raise max_scopes of graph_timing()");
    return nullptr;
  }
  const StampRing& first = track.first == nullptr ? *ring : *track.first;
  if (!track.stamps->launch(cuda, track.place, *ring, first, ends_scope)) {
    refuse("a stamp could not be launched; last_failure names the call");
    return nullptr;
  }
  track.first = track.first == nullptr ? ring : track.first;
  track.last = ring;
  track.last_node = only_dependency(cuda, track.place.stream);
  return ring;
}

void GraphScopes::refuse(const char* why) noexcept {
  try {
    refusal_ = why;
  } catch (const std::bad_alloc&) {  // the old reason stands
  }
}

void GraphScopes::forget() noexcept {
  const int users = users_.load(std::memory_order_relaxed);
  const uint32_t depth = depth_.load(std::memory_order_relaxed);
  new (this) GraphScopes;  // a thread of the parent may have been writing to the other members
  add_users(users);
  set_depth(depth);
}

std::string GraphScopes::refusal() {
  const std::lock_guard<std::mutex> hold(mutex_);
  return refusal_;
}

}  // namespace fasttime
