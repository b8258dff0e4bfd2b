// SPDX-License-Identifier: BSD-3-Clause
#include "forks.h"

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "cuda/cuda_runtime.h"
#include "cuda/stream_hold.h"

using namespace fasttime;

namespace {

constexpr uint64_t kWorkers = 3;
// A lock whose holder does not exist in the child would stop it for good. A signal then ends it.
constexpr unsigned kPatienceS = 20;
constexpr int64_t kHoldNs = 60'000'000'000;

// Times scopes on the host and checks that the counts are exact.
void record_on_host(Ledger& ledger) {
  constexpr int kScopes = 50;
  for (int i = 0; i < kScopes; ++i) {
    OpenScope scope;
    ledger.recorder.begin(scope, ledger.site(i % Ledger::kNames, 1), nullptr);
    ledger.recorder.end(scope);
  }
  FASTTIME_CHECK(ledger.recorder.counts().open == 0 && ledger.recorder.counts().pending == 0);
  uint64_t all = 0;
  for (const SiteSummary& summary : ledger.recorder.summaries(true)) {
    all += summary.counts[static_cast<size_t>(Status::kHostOnly)];
  }
  FASTTIME_CHECK(all == kScopes);
}

[[noreturn]] void be_child(Stage& stage, OpenScope& of_parent, std::unique_ptr<StreamHold> hold) {
  alarm(kPatienceS);
  FASTTIME_CHECK(!backend().has_cuda);
  FASTTIME_CHECK(backend().reason.find("forked") != std::string::npos);
  FASTTIME_CHECK(!hold->release());
  hold.reset();
  stage.kept.recorder.end(of_parent);
  record_on_host(stage.kept);
  record_on_host(stage.reset);
  std::thread([] { record_on_host(*new Ledger); }).join();
  std::exit(0);
}

}  // namespace

void run_and_fork(Stage& stage, uint64_t steps, uint64_t seed) {
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < kWorkers; ++i) {
    threads.emplace_back(work, std::ref(stage), seed * 100 + i, steps);
  }
  std::vector<std::thread> others;
  others.emplace_back(observe, std::ref(stage), seed * 100 + 10);
  others.emplace_back(move_clock, std::ref(stage), seed * 100 + 20);
  others.emplace_back(come_and_go, std::ref(stage), seed * 100 + 21);
  others.emplace_back(hold_streams, std::ref(stage), seed * 100 + 30);
  stage.simulation.go_to(0);
  Place own{0, nullptr};
  FASTTIME_CHECK(stage.simulation.create_stream(&own.stream, 1) == 0);
  int forks = 0;
  for (; stage.steps.load(std::memory_order_relaxed) < kWorkers * steps; ++forks) {
    OpenScope scope;
    stage.kept.recorder.begin(scope, stage.kept.site(0, 0), nullptr);
    auto hold = std::make_unique<StreamHold>(runtime(), own, kHoldNs);
    const pid_t child = fork();
    FASTTIME_CHECK(child >= 0);
    if (child == 0) {
      be_child(stage, scope, std::move(hold));
    }
    int status = -1;
    FASTTIME_CHECK(waitpid(child, &status, 0) == child);
    FASTTIME_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    FASTTIME_CHECK(hold->release());
    stage.kept.end(scope);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  stage.is_over = true;
  for (std::thread& thread : others) {
    thread.join();
  }
  for (auto& [ledger, scope] : stage.handed_over) {
    ledger->end(scope);
  }
  FASTTIME_CHECK(forks > 0);
  std::printf("  %d forks\n", forks);
}
