// SPDX-License-Identifier: BSD-3-Clause
#include "host/host_clock.h"

#include <chrono>
#include <cstdio>

#include "host/counter_clock.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace fasttime {
namespace {

#if defined(__x86_64__) && defined(__linux__)

// The processor says that its counter is invariant, and the kernel, which watches for cores whose
// counters disagree, has not removed it from its list.
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
  return lists_name(sources, "tsc");
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

struct Processor {
  static uint64_t ticks() noexcept { return read_counter(); }
  static int64_t steady_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

CounterClock<Processor> g_clock(counter_is_steady());

}  // namespace

[[gnu::hot]] int64_t host_now_ns() noexcept { return g_clock.now_ns(); }

}  // namespace fasttime
