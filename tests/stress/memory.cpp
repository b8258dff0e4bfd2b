// SPDX-License-Identifier: BSD-3-Clause
// memory LIBRARY: runs a stream check on the simulated runtime, and lets one allocation after the
// other fail. Whichever fails, all events return to their pool and later marks are answered.
#include <dlfcn.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "core/stream_watch.h"
#include "simulation.h"

namespace {

// How many allocations succeed before one fails. Negative: none fails.
int64_t g_left = -1;

constexpr int64_t kMs = 1'000'000;

}  // namespace

void* operator new(size_t size) {
  void* made = g_left >= 0 && g_left-- == 0 ? nullptr : std::malloc(size);
  if (made == nullptr) {
    throw std::bad_alloc();
  }
  return made;
}
void operator delete(void* made) noexcept { std::free(made); }
void operator delete(void* made, size_t) noexcept { std::free(made); }

using namespace fasttime;

// Runs one function with allocation number `number` failing. Returns whether it failed.
template <typename Function>
bool fails(int64_t number, Function function) {
  g_left = number;
  bool failed = false;
  try {
    function();
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  g_left = -1;
  return failed;
}

// Returns whether an allocation failed.
bool run_with_failure(const Simulation& simulation, const std::vector<Place>& streams, bool in_mark,
                      int64_t number) {
  const std::vector<Place> own(streams.begin(), streams.begin() + 2);
  const std::vector<Place> others(streams.begin() + 2, streams.end());
  StreamWatch watch;
  for (const Place& stream : others) {
    simulation.enqueue(stream.stream, kMs);
  }
  const auto mark = [&] { watch.mark(runtime(), 1, own, others); };
  const bool mark_failed = in_mark && fails(number, mark);
  if (!in_mark) {
    mark();
  }
  simulation.advance(10 * kMs);
  const bool read_failed = !in_mark && fails(number, [&] { watch.read(runtime()); });
  if (mark_failed) {
    mark();
  }
  simulation.advance(10 * kMs);
  const StreamWatch::Answers answers = watch.read(runtime());
  FASTTIME_CHECK(!read_failed || (answers.busy.size() == 2 && answers.done.size() == 1));
  FASTTIME_CHECK(watch.pending() == 0);
  const EventPool& pool = device_at(runtime(), 0)->pool;
  FASTTIME_CHECK(pool.in_pool() == pool.created());
  return mark_failed || read_failed;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: memory LIBRARY\n");
    return 2;
  }
  // The simulation keeps the allocator of the C++ library.
  FASTTIME_CHECK(dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) != nullptr);
  bind_library(argv[1]);
  const Simulation simulation(argv[1]);
  FASTTIME_CHECK(StreamWatch::prepare(runtime(), 0));
  std::vector<Place> streams(4, Place{0, nullptr});
  for (Place& stream : streams) {
    FASTTIME_CHECK(simulation.create_stream(&stream.stream, 1) == 0);
  }
  for (const bool in_mark : {true, false}) {
    int64_t failures = 0;
    while (run_with_failure(simulation, streams, in_mark, failures)) {
      ++failures;
    }
    FASTTIME_CHECK(failures > 1);
    std::printf("%s: %lld allocations failed in turn\n", in_mark ? "mark" : "read",
                static_cast<long long>(failures));
  }
  return 0;
}
