// SPDX-License-Identifier: BSD-3-Clause
#include "actors.h"

#include <memory>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "cuda/cuda_runtime.h"
#include "cuda/stream_hold.h"

using namespace fasttime;

namespace {

constexpr size_t kMostOpen = 24;
constexpr size_t kMostSpans = 3000;
constexpr uint64_t kStepsBetweenFaults = 100;
// The simulation searches all faults at each call.
constexpr int kMostFaults = 400;
constexpr int64_t kNeverNs = 60'000'000'000;

// One thread that records, with its own device, stream and last error.
class Worker {
 public:
  Worker(Stage& stage, uint64_t seed)
      : stage_(stage), simulation_(stage.simulation), chance_(seed) {
    for (int i = 0; i < 2; ++i) {
      Place place{static_cast<int>(chance_.below(2)), nullptr};
      simulation_.go_to(place.device);
      while (simulation_.create_stream(&place.stream, static_cast<unsigned>(i)) != 0) {
        simulation_.get_last_error();
      }
      own_.push_back(place);
    }
    wander();
  }

  void step() {
    switch (chance_.below(20)) {
      case 0:
        wander();
        break;
      case 1:
        simulation_.enqueue(current_.stream, static_cast<int64_t>(chance_.below(30'000)));
        break;
      case 2:
        capture();
        break;
      case 3:
        hand_over();
        break;
      case 4:
        take_over();
        break;
      case 5:
        finish(true);
        break;
      case 6:
        begin_or_end_block();
        break;
      case 7:
        if (block_.ledger != nullptr) {
          change_phase();
        }
        break;
      default:
        if (open_.size() < kMostOpen && chance_.once_in(2)) {
          open_.push_back(begun());
        } else {
          finish(false);
        }
    }
    // No failure may stay in the thread's last error, where torch's next launch would find it.
    FASTTIME_CHECK(!stage_.device_survives || simulation_.peek_at_last_error() == 0);
    stage_.steps.fetch_add(1, std::memory_order_relaxed);
  }

  void leave() {
    if (capturing_ != nullptr) {
      capture();
    }
    if (block_.ledger != nullptr) {
      begin_or_end_block();
    }
    while (!open_.empty()) {
      finish(false);
    }
    FASTTIME_CHECK(!stage_.device_survives || simulation_.peek_at_last_error() == 0);
  }

 private:
  using Held = std::pair<Ledger*, OpenScope>;

  // Makes another device and stream current. Also restores the device if a fault has kept the
  // library from restoring it.
  void wander() {
    current_ = chance_.once_in(3) ? chance_.one_of(own_) : chance_.one_of(stage_.places);
    if (stage_.device_survives) {
      simulation_.go_to(current_.device);
    }
    simulation_.set_current_stream(current_.device, current_.stream);
  }

  SiteTable::Id any_site(Ledger& ledger) {
    const size_t name = chance_.below(Ledger::kNames);
    return ledger.site(static_cast<int>(name), static_cast<int>(chance_.below(Ledger::kNames)));
  }

  Held begun() {
    Held held{chance_.once_in(4) ? &stage_.reset : &stage_.kept, {}};
    const Place other = chance_.once_in(2) ? chance_.one_of(stage_.places) : chance_.one_of(own_);
    const Place on_current_device{-1, current_.stream};
    const Place* const choices[] = {nullptr, nullptr, &other, &on_current_device};
    held.first->recorder.begin(held.second, any_site(*held.first), choices[chance_.below(4)]);
    return held;
  }

  void begin_or_end_block() {
    if (block_.ledger == nullptr) {
      std::tie(block_.ledger, block_.scope) = begun();
      block_.ledger->recorder.begin_phase(block_.phase, any_site(*block_.ledger), block_.scope,
                                          nullptr);
    } else {
      block_.ledger->end_block(block_.scope, block_.phase);
      block_.ledger = nullptr;
    }
  }

  void change_phase() {
    const Lane* lane = block_.scope.lane;
    block_.ledger->change_phase(block_.phase, any_site(*block_.ledger),
                                lane == nullptr ? nullptr : &lane->place);
  }

  // The newest scope in three of four cases, else any.
  Held take_one() {
    const size_t at = chance_.once_in(4) ? chance_.below(open_.size()) : open_.size() - 1;
    const Held held = open_[at];
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
    return held;
  }

  void finish(bool given_up) {
    if (open_.empty()) {
      return;
    }
    Held held = take_one();
    if (given_up) {
      held.first->abandon(held.second);
    } else {
      held.first->end(held.second);
    }
  }

  void hand_over() {
    if (!open_.empty()) {
      const std::lock_guard<std::mutex> hold(stage_.mutex);
      stage_.handed_over.push_back(take_one());
    }
  }

  void take_over() {
    const std::lock_guard<std::mutex> hold(stage_.mutex);
    if (!stage_.handed_over.empty() && open_.size() < kMostOpen) {
      open_.push_back(stage_.handed_over.back());
      stage_.handed_over.pop_back();
    }
  }

  // Begins or ends a capture on a stream of its own, on which other threads may be recording.
  void capture() {
    if (capturing_ != nullptr) {
      simulation_.end_capture(capturing_, nullptr);
      capturing_ = nullptr;
    } else {
      void* stream = chance_.one_of(own_).stream;
      if (simulation_.begin_capture(stream, static_cast<int>(chance_.below(3))) == 0) {
        capturing_ = stream;
      }
    }
    simulation_.get_last_error();  // a capture that another thread destroyed ends with an error
  }

  Stage& stage_;
  const Simulation& simulation_;
  Chance chance_;
  std::vector<Place> own_;
  Place current_;
  std::vector<Held> open_;
  struct {
    Ledger* ledger = nullptr;  // null: no block is open
    OpenScope scope;
    OpenScope phase;
  } block_;
  void* capturing_ = nullptr;
};

}  // namespace

Stage::Stage(const std::string& library, int devices, int streams_each) : simulation(library) {
  for (int device = 0; device < devices; ++device) {
    simulation.go_to(device);
    places.push_back({device, nullptr});
    for (int i = 0; i < streams_each; ++i) {
      Place place{device, nullptr};
      FASTTIME_CHECK(simulation.create_stream(&place.stream, static_cast<unsigned>(i % 2)) == 0);
      places.push_back(place);
    }
  }
}

void work(Stage& stage, uint64_t seed, uint64_t steps) {
  Worker worker(stage, seed);
  for (uint64_t i = 0; i < steps; ++i) {
    worker.step();
  }
  worker.leave();
}

void observe(Stage& stage, uint64_t seed) {
  Chance chance(seed);
  while (!stage.is_over) {
    Ledger& ledger = chance.once_in(3) ? stage.reset : stage.kept;
    Recorder& recorder = ledger.recorder;
    switch (chance.below(10)) {
      case 0:
        ledger.take();
        break;
      case 1:
        recorder.summaries(false);
        break;
      case 2: {
        const RecorderCounts counts = recorder.counts();
        // At most, every stream is full.
        const uint64_t most = 1024 * Lane::kMaxScopes;
        FASTTIME_CHECK(counts.pending <= most && counts.open <= most);
        break;
      }
      case 3:
        recorder.drain(recorder.mark(), runtime().host_now_ns() + 100'000);
        break;
      case 4:
        recorder.set_keep(chance.below(20));
        recorder.recent(static_cast<SiteTable::Id>(chance.below(recorder.sites().size())));
        break;
      case 5:
        recorder.set_share_window(static_cast<int64_t>(chance.below(2) * 250));
        break;
      case 6:
        stage.reset.recorder.reset();
        break;
      case 7:
        recorder.start_spans(kMostSpans);  // does nothing if a timeline is being recorded
        break;
      case 8: {
        recorder.close_spans();
        const SpanStore::Taken taken = recorder.take_spans();
        FASTTIME_CHECK(taken.size() <= kMostSpans);
        for (size_t i = 0; i < taken.size(); ++i) {
          const Span& span = taken[i];
          FASTTIME_CHECK(span.site < recorder.sites().size() && span.thread != 0);
          FASTTIME_CHECK(span.anchor == 0 || span.status == Status::kOk);
          FASTTIME_CHECK(taken.device_end(span).host_ns >= taken.device_begin(span).host_ns);
        }
        break;
      }
      default:
        recorder.poll();
    }
    FASTTIME_CHECK(!stage.device_survives || stage.simulation.peek_at_last_error() == 0);
  }
}

void move_clock(Stage& stage, uint64_t seed) {
  Chance chance(seed);
  // This thread must never wait: others wait for it, in full launch queues behind a latch.
  while (!stage.is_over) {
    const Place& place = chance.one_of(stage.places);
    if (stage.device_survives) {
      stage.simulation.go_to(place.device);
    }
    switch (chance.below(8)) {
      case 0:
        stage.simulation.hold(place.stream);
        break;
      case 1:
      case 2:
        stage.simulation.release(place.stream);
        break;
      default:
        stage.simulation.advance(static_cast<int64_t>(chance.below(20'000)));
    }
    std::this_thread::yield();
  }
  for (const Place& place : stage.places) {
    if (stage.device_survives) {
      stage.simulation.go_to(place.device);
    }
    stage.simulation.release(place.stream);
  }
}

void come_and_go(Stage& stage, uint64_t seed) {
  Chance chance(seed);
  while (!stage.is_over) {
    auto ledger = std::make_unique<Ledger>();
    for (size_t round = chance.below(4); round > 0; --round) {
      OpenScope outer;
      OpenScope inner;
      ledger->recorder.begin(outer, ledger->site(1, 1), &chance.one_of(stage.places));
      ledger->recorder.begin(inner, ledger->site(2, 1), &chance.one_of(stage.places));
      ledger->end(outer);
      ledger->end(inner);
    }
    if (chance.once_in(4)) {
      ledger->check_conserved();
    }
    FASTTIME_CHECK(!stage.device_survives || stage.simulation.peek_at_last_error() == 0);
  }
}

void hold_streams(Stage& stage, uint64_t seed) {
  Chance chance(seed);
  const Simulation& simulation = stage.simulation;
  Place own{0, nullptr};
  constexpr unsigned kNonBlocking = 1;
  while (simulation.create_stream(&own.stream, kNonBlocking) != 0) {
    simulation.get_last_error();
  }
  const auto is_held = [&] { return simulation.backlog_ns(own.stream) < 0; };
  bool was_in_time = false;
  bool was_too_late = false;
  // Until the workers are done, but at least until both cases have happened.
  while (!stage.is_over || (stage.device_survives && !(was_in_time && was_too_late))) {
    try {
      switch (chance.below(3)) {
        case 0: {  // other threads may block on this stream, so do not wait for them
          StreamHold hold(runtime(), chance.one_of(stage.places), kNeverNs);
          std::this_thread::yield();
          FASTTIME_CHECK(hold.release());
          break;
        }
        case 1: {
          StreamHold hold(runtime(), own, kNeverNs);
          simulation.enqueue(own.stream, 1000);
          FASTTIME_CHECK(is_held());
          if (chance.once_in(2)) {
            FASTTIME_CHECK(hold.release() && hold.release());
            FASTTIME_CHECK(!is_held());
          }
          was_in_time = true;
          break;
        }
        default: {
          StreamHold hold(runtime(), own, static_cast<int64_t>(chance.below(100'000)));
          simulation.enqueue(own.stream, 1000);
          while (is_held()) {
            std::this_thread::yield();
          }
          FASTTIME_CHECK(!hold.release());
          was_too_late = true;
        }
      }
    } catch (const std::runtime_error&) {
      FASTTIME_CHECK(stage.faults || !stage.device_survives);
    }
    FASTTIME_CHECK(!stage.device_survives || simulation.peek_at_last_error() == 0);
  }
}

void order_faults(Stage& stage, uint64_t seed) {
  Chance chance(seed);
  // Functions that report errors, such as cudaPeekAtLastError, do not fail themselves.
  const std::vector<const char*> functions{"cudaEventCreateWithFlags",
                                           "cuEventRecord",
                                           "cudaEventRecord",
                                           "cuEventElapsedTime_v2",
                                           "cudaEventElapsedTime",
                                           "cudaGetDevice",
                                           "cuDevicePrimaryCtxGetState",
                                           "cuDevicePrimaryCtxRetain",
                                           "cuCtxPushCurrent_v2",
                                           "cuCtxPopCurrent_v2",
                                           "cuCtxGetCurrent",
                                           "cudaStreamCreateWithFlags",
                                           "cudaStreamIsCapturing",
                                           "cuStreamIsCapturing",
                                           "cuStreamWaitValue32_v2",
                                           "cudaHostAlloc",
                                           "cudaThreadExchangeStreamCaptureMode",
                                           "aoti_torch_get_current_cuda_stream"};
  // Leaves out errors that mean a lost device, and those for a captured event (1, 907): a reading
  // would take them as true.
  const std::vector<int> errors{2, 101, 201, 400, 401, 600, 801, 900, 901, 906, 999};
  uint64_t next = kStepsBetweenFaults;
  for (int ordered = 0; ordered < kMostFaults && !stage.is_over;) {
    if (stage.steps.load(std::memory_order_relaxed) < next) {
      std::this_thread::yield();
      continue;
    }
    next += kStepsBetweenFaults;
    ++ordered;
    FASTTIME_CHECK(stage.simulation.fail(chance.one_of(functions), chance.one_of(errors),
                                         static_cast<int64_t>(chance.below(50)),
                                         static_cast<int64_t>(1 + chance.below(3))) == 0);
  }
}
