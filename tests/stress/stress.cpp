// SPDX-License-Identifier: BSD-3-Clause
// stress MODE LIBRARY [STEPS] [SEED]: runs the core on the simulated runtime, with threads that use
// all of it at once. At the end all counts must add up. STEPS is the number of steps of each
// worker.
//   calm    streams, devices, captures, latches, held streams, short-lived recorders
//   faults  the same, with calls that fail
//   lost    the same, with a device that is lost half way
//   fork    threads record while the process forks; the child records too
#include <cinttypes>
#include <cstring>
#include <functional>
#include <thread>

#include "actors.h"
#include "cuda/cuda_runtime.h"
#include "cuda/devices.h"
#include "forks.h"

using namespace fasttime;

namespace {

constexpr int kDevices = 2;
constexpr int kStreamsEach = 2;
constexpr uint64_t kWorkers = 4;
constexpr int64_t kQueueLimit = 1000;
constexpr int kIllegalAddress = 700;

// Checks that every event is in its pool and can be taken. No recorder may be left.
void check_pools() {
  for (int index = 0; index < kDevices; ++index) {
    EventPool& pool = device_at(runtime(), index)->pool;
    FASTTIME_CHECK(pool.created() <= EventPool::kMaxEvents);
    FASTTIME_CHECK(pool.in_pool() == pool.created());
    // The first call takes the free events, the second one the parked events.
    for (int i = 0; i < 2; ++i) {
      int status = 0;
      pool.take(runtime(), index, EventPool::kMaxEvents, status);
    }
    FASTTIME_CHECK(pool.in_pool() == 0);
  }
}

// Checks that further scopes are counted as usual.
void check_usable(Ledger& ledger) {
  ledger.check_quiet();
  ledger.take();
  const auto before = ledger.statuses;
  for (int i = 0; i < 100; ++i) {
    OpenScope scope;
    ledger.recorder.begin(scope, ledger.site(i % Ledger::kNames, 0), nullptr);
    ledger.end(scope);
  }
  ledger.check_quiet();
  ledger.take();
  uint64_t more = 0;
  for (size_t status = 0; status < before.size(); ++status) {
    more += ledger.statuses[status] - before[status];
  }
  FASTTIME_CHECK(more == 100);
}

// Notes a failure after all other static destructors, as a daemon thread may when it returns from
// CUDA while the process ends. Constructed first, so destroyed last.
struct LastOfAll {
  ~LastOfAll() {
    const char* words = "a daemon thread came back from CUDA after all static objects were gone";
    note_failure(words);
    FASTTIME_CHECK(last_failure() == words);
    retire("and the reason is no shorter than these words, which need memory of their own");
    FASTTIME_CHECK(is_retired() && !backend().reason.empty());
  }
};
[[gnu::init_priority(101)]] LastOfAll g_last_of_all;

void lose_device(Stage& stage, uint64_t steps) {
  while (stage.steps.load(std::memory_order_relaxed) < steps) {
    std::this_thread::yield();
  }
  stage.simulation.set_sticky(kIllegalAddress);
}

void run(Stage& stage, uint64_t steps, uint64_t seed) {
  std::vector<std::thread> workers;
  std::vector<std::thread> others;
  for (uint64_t i = 0; i < kWorkers; ++i) {
    workers.emplace_back(work, std::ref(stage), seed * 100 + i, steps);
  }
  for (uint64_t i = 0; i < 2; ++i) {
    others.emplace_back(observe, std::ref(stage), seed * 100 + 10 + i);
    others.emplace_back(hold_streams, std::ref(stage), seed * 100 + 30 + i);
  }
  others.emplace_back(move_clock, std::ref(stage), seed * 100 + 20);
  others.emplace_back(come_and_go, std::ref(stage), seed * 100 + 21);
  if (stage.faults) {
    others.emplace_back(order_faults, std::ref(stage), seed * 100 + 22);
  }
  if (!stage.device_survives) {
    others.emplace_back(lose_device, std::ref(stage), kWorkers * steps / 2);
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  stage.is_over = true;
  for (std::thread& other : others) {
    other.join();
  }
  for (auto& [ledger, scope] : stage.handed_over) {
    ledger->end(scope);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: stress calm|faults|lost|fork LIBRARY [STEPS] [SEED]\n");
    return 2;
  }
  const std::string mode = argv[1];
  const uint64_t steps = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 20'000;
  const uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
  std::printf("stress %s: %" PRIu64 " steps a worker, seed %" PRIu64 "\n", mode.c_str(), steps,
              seed);
  std::fflush(stdout);

  bind_library(argv[2]);
  {
    Stage stage(argv[2], kDevices, kStreamsEach);
    stage.simulation.set_queue_limit(kQueueLimit);
    stage.faults = mode == "faults";
    stage.device_survives = mode != "lost";
    if (mode == "fork") {
      run_and_fork(stage, steps, seed);
    } else {
      run(stage, steps, seed);
    }
    check_usable(stage.reset);
    check_usable(stage.kept);
    stage.kept.check_conserved();
    const auto& statuses = stage.kept.statuses;
    std::printf("  ok %" PRIu64 ", host only %" PRIu64 ", dropped %" PRIu64 ", captured %" PRIu64
                ", failed %" PRIu64 "\n",
                statuses[0], statuses[1], statuses[2], statuses[3], statuses[4]);
    FASTTIME_CHECK(stage.simulation.used_after_destroy() == 0);
    if (stage.device_survives) {
      FASTTIME_CHECK(statuses[static_cast<size_t>(Status::kHostOnly)] == 0);
      FASTTIME_CHECK(stage.simulation.rerecorded_in_flight() == 0);
      FASTTIME_CHECK(stage.simulation.peek_at_last_error() == 0);
    } else {
      FASTTIME_CHECK(is_retired());
      FASTTIME_CHECK(backend().reason.find("the device is lost") != std::string::npos);
    }
  }
  if (!is_retired()) {
    check_pools();
  }
  return 0;
}
