// SPDX-License-Identifier: BSD-3-Clause
// soak RUNTIME [SCOPES]: times scopes in a loop, nested in pairs. Checks that they are counted
// exactly and that memory does not grow. RUNTIME is the instant or the simulated runtime; SCOPES is
// a million by default.
#include <chrono>
#include <cinttypes>
#include <limits>

#include "check.h"
#include "core/recorder.h"
#include "cuda/cuda_runtime.h"

namespace {

using namespace fasttime;

// How much the allocator and late first uses may take after the first tenth.
constexpr int64_t kMaxGrowthKib = 1024;

int64_t resident_kib() {
  FILE* file = std::fopen("/proc/self/status", "r");
  FASTTIME_CHECK(file != nullptr);
  char line[256];
  int64_t kib = -1;
  while (std::fgets(line, sizeof(line), file) != nullptr && kib < 0) {
    if (std::sscanf(line, "VmRSS: %" SCNd64, &kib) != 1) {
      kib = -1;
    }
  }
  std::fclose(file);
  FASTTIME_CHECK(kib > 0);
  return kib;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: soak RUNTIME [SCOPES]\n");
    return 2;
  }
  const uint64_t pairs = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000) / 2;
  bind_library(argv[1]);
  Recorder recorder;
  recorder.set_keep(100);
  const auto outer = recorder.sites().child(0, recorder.sites().intern("outer"));
  const auto inner = recorder.sites().child(outer, recorder.sites().intern("inner"));

  const auto start = std::chrono::steady_clock::now();
  int64_t warm_kib = 0;
  int64_t most_kib = 0;
  uint64_t taken[2] = {};
  const auto take = [&] {
    const auto summaries = recorder.summaries(true);
    taken[0] += summaries[outer].counts[static_cast<size_t>(Status::kOk)];
    taken[1] += summaries[inner].counts[static_cast<size_t>(Status::kOk)];
  };
  const uint64_t tenth = std::max<uint64_t>(1, pairs / 10);
  for (uint64_t i = 1; i <= pairs; ++i) {
    OpenScope scope;
    OpenScope nested;
    recorder.begin(scope, outer, nullptr);
    recorder.begin(nested, inner, nullptr);
    recorder.end(nested);
    recorder.end(scope);
    if (i % tenth == 0) {
      take();
      most_kib = std::max(most_kib, resident_kib());
      warm_kib = i == tenth ? most_kib : warm_kib;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;

  FASTTIME_CHECK(recorder.drain(recorder.mark(), std::numeric_limits<int64_t>::max()));
  take();
  FASTTIME_CHECK(taken[0] == pairs && taken[1] == pairs);
  FASTTIME_CHECK(recorder.counts().open == 0 && recorder.counts().pending == 0);
  std::printf("soak: %" PRIu64 " scopes in %.1f s, %.0f ns each; resident %" PRId64
              " KiB after the first tenth, at most %" PRId64 " KiB since\n",
              2 * pairs, took.count(), took.count() * 1e9 / static_cast<double>(2 * pairs),
              warm_kib, most_kib);
  FASTTIME_CHECK(most_kib - warm_kib <= kMaxGrowthKib);
  return 0;
}
