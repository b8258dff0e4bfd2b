// SPDX-License-Identifier: BSD-3-Clause
#include "host/host_clock.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace fasttime {
namespace {

int64_t steady_now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

#if defined(__x86_64__) && defined(__linux__)

// Invariant by the processor's word, and not struck off by the kernel, which watches for cores
// whose counters disagree.
bool counter_is_steady() noexcept {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || (edx & (1u << 8)) == 0) {
    return false;
  }
  FILE* file =
      std::fopen("/sys/devices/system/clocksource/clocksource0/available_clocksource", "re");
  if (file == nullptr) {
    return false;
  }
  char sources[256] = {};
  const size_t length = std::fread(sources, 1, sizeof(sources) - 1, file);
  std::fclose(file);
  sources[length] = '\0';
  return std::strstr(sources, "tsc") != nullptr;
}

uint64_t read_counter() noexcept { return __rdtsc(); }

#elif defined(__aarch64__)

bool counter_is_steady() noexcept { return true; }

uint64_t read_counter() noexcept {
  uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
}

#else

bool counter_is_steady() noexcept { return false; }
uint64_t read_counter() noexcept { return 0; }

#endif

// One moment on both clocks.
struct Moment {
  uint64_t ticks;
  int64_t ns;
};

// The tightest of a few brackets: an interrupt between the two reads would spoil the pair.
Moment read_both() noexcept {
  Moment best{};
  uint64_t narrowest = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const uint64_t before = read_counter();
    const int64_t ns = steady_now_ns();
    const uint64_t after = read_counter();
    if (after - before < narrowest) {
      narrowest = after - before;
      best = {before + (after - before) / 2, ns};
    }
  }
  return best;
}

class CounterClock {
 public:
  CounterClock() noexcept : usable_(counter_is_steady()) {
    if (usable_) {
      start_ = read_both();
    }
  }

  int64_t now_ns() noexcept {
    // Acquire pairs with the release in learn(): whoever sees the rate sees its base too.
    const uint64_t rate = ns_per_tick_.load(std::memory_order_acquire);
    if (rate != 0) {
      // Signed: the counter may have been read ahead of the rate, or have begun anew.
      const auto ticks = static_cast<int64_t>(read_counter() - base_.ticks);
      return base_.ns +
             static_cast<int64_t>((static_cast<Wide>(ticks) * static_cast<int64_t>(rate)) >> 32);
    }
    return now_before_rate_is_known();
  }

 private:
  __extension__ using Wide = __int128;
  static constexpr int64_t kLearnNs = 20'000'000;

  // Out of line, so that what it needs of registers is not saved at each reading.
  [[gnu::cold, gnu::noinline]] int64_t now_before_rate_is_known() noexcept {
    const int64_t now = steady_now_ns();
    if (usable_ && now - start_.ns > kLearnNs) {
      learn();
    }
    return now;
  }

  void learn() noexcept {
    if (learning_.test_and_set(std::memory_order_relaxed)) {
      return;
    }
    base_ = read_both();
    const double rate =
        static_cast<double>(base_.ns - start_.ns) / static_cast<double>(base_.ticks - start_.ticks);
    ns_per_tick_.store(static_cast<uint64_t>(rate * 4294967296.0), std::memory_order_release);
  }

  bool usable_;
  Moment start_{};
  Moment base_{};                         // written once, before ns_per_tick_ is published
  std::atomic<uint64_t> ns_per_tick_{0};  // 32.32 fixed point; 0: not learnt yet
  std::atomic_flag learning_ = ATOMIC_FLAG_INIT;
};

CounterClock g_clock;

}  // namespace

[[gnu::hot]] int64_t host_now_ns() noexcept { return g_clock.now_ns(); }

}  // namespace fasttime
