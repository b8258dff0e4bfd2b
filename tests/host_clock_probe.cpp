// SPDX-License-Identifier: BSD-3-Clause
// Runs the host clock on a made-up counter and a made-up steady clock, for test_host_clock.py.
// Prints one line per case: its name, then numbers.
#include <cstdio>
#include <cstdlib>

#include "host/counter_clock.h"

using fasttime::CounterClock;
using fasttime::lists_name;

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;

// The steady clock gives the true time. The counter runs at `per_ns` ticks per ns.
struct Machine {
  static int64_t now_ns;
  static double counter;
  static double per_ns;

  static void pass(int64_t ns) {
    now_ns += ns;
    counter += static_cast<double>(ns) * per_ns;
  }
  static uint64_t ticks() noexcept {
    pass(10);
    return static_cast<uint64_t>(counter);
  }
  static int64_t steady_ns() noexcept {
    pass(20);
    return now_ns;
  }
  static void restart() {
    now_ns = 5 * kSecond;
    counter = 1e12;
    per_ns = 2.5;
  }
};
int64_t Machine::now_ns;
double Machine::counter;
double Machine::per_ns;

using Clock = CounterClock<Machine>;

// How far the clock is ahead of the steady clock.
long long ahead(Clock& clock) {
  const int64_t read_ns = clock.now_ns();
  return read_ns - Machine::now_ns;
}

// Lets time pass in steps of 1 ms. Returns the largest error, and counts steps backwards.
long long run(Clock& clock, int64_t ns, int& backwards) {
  long long most = 0;
  int64_t last_ns = clock.now_ns();
  for (int64_t passed = 0; passed < ns; passed += kMs) {
    Machine::pass(kMs);
    const int64_t read_ns = clock.now_ns();
    const long long error = std::llabs(read_ns - Machine::now_ns);
    most = error > most ? error : most;
    backwards += read_ns < last_ns ? 1 : 0;
    last_ns = read_ns;
  }
  return most;
}

void constant_rate() {
  Machine::restart();
  Clock clock(true);
  int backwards = 0;
  const long long most = run(clock, 60 * kSecond, backwards);
  std::printf("constant %lld %d\n", most, backwards);
}

void changed_rate() {
  Machine::restart();
  Clock clock(true);
  int backwards = 0;
  run(clock, 10 * kSecond, backwards);
  Machine::per_ns *= 1 - 5e-6;
  const long long meanwhile = run(clock, 9 * kSecond, backwards);
  const long long later = run(clock, 20 * kSecond, backwards);
  std::printf("changed %lld %lld %d\n", meanwhile, later, backwards);
}

void long_pause() {
  Machine::restart();
  Clock clock(true);
  int backwards = 0;
  run(clock, 10 * kSecond, backwards);
  const int64_t before_ns = clock.now_ns();
  Machine::per_ns *= 1 - 2e-6;
  Machine::pass(3600 * kSecond);
  const long long at_once = ahead(clock);
  std::printf("pause %lld %d\n", at_once, clock.now_ns() > before_ns ? 0 : 1);
}

void counter_starts_anew() {
  Machine::restart();
  Clock clock(true);
  int backwards = 0;
  run(clock, 10 * kSecond, backwards);
  Machine::counter = 0;
  Machine::pass(kMs);
  const long long at_once = ahead(clock);
  const long long later = run(clock, 20 * kSecond, backwards);
  std::printf("anew %lld %lld %d\n", at_once, later, backwards);
}

void unusable_counter() {
  Machine::restart();
  Clock clock(false);
  int backwards = 0;
  std::printf("unusable %lld\n", run(clock, kSecond, backwards));
}

void names() {
  const char* lists[] = {"tsc\n",
                         "hyperv_clocksource_tsc_page acpi_pm\n",
                         "kvm-clock tsc acpi_pm\n",
                         "kvm-clock acpi_pm tsc",
                         "tsc-early acpi_pm",
                         ""};
  std::printf("names");
  for (const char* list : lists) {
    std::printf(" %d", lists_name(list, "tsc") ? 1 : 0);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  constant_rate();
  changed_rate();
  long_pause();
  counter_starts_anew();
  unusable_counter();
  names();
  return 0;
}
