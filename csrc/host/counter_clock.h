// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>

namespace fasttime {

// Whether a space-separated list contains exactly this name. In the kernel's list of clock sources
// "tsc" is the processor's counter, but "hyperv_clocksource_tsc_page" is not.
inline bool lists_name(const char* list, const char* name) noexcept {
  const size_t length = std::strlen(name);
  for (const char* at = list; *at != '\0'; at += std::strcspn(at, " \n")) {
    at += std::strspn(at, " \n");
    if (std::strcspn(at, " \n") == length && std::strncmp(at, name, length) == 0) {
      return true;
    }
  }
  return false;
}

// A clock that reads the processor's counter instead of asking the kernel, which costs a third.
// Thread-safe, never waits. `Source` has two static functions: ticks(), the counter, and
// steady_ns(), the kernel's steady clock. A template, so that tests can supply both.
//
// The clock learns its rate over the first kLearnNs; until then it returns steady_ns(). It then
// compares itself with steady_ns() again and again, after four times the last period and in the end
// every kRenewNs. Each time it chooses the rate with which it meets steady_ns() at the next
// comparison. So it stays within a microsecond, without jumping or running backwards. The
// exception: it jumps to steady_ns() if it was not read for some time, or if the two differ by more
// than kMaxSlewNs because one of them was stopped.
template <typename Source>
class CounterClock {
 public:
  static constexpr int64_t kLearnNs = 20'000'000;
  static constexpr int64_t kRenewNs = 4'000'000'000;
  static constexpr int64_t kMaxSlewNs = 1'000'000;

  // With `is_usable` false the clock always returns steady_ns().
  explicit CounterClock(bool is_usable) noexcept : is_usable_(is_usable) {
    if (is_usable_) {
      start_ = read_both();
    }
  }

  int64_t now_ns() noexcept {
    // A sequence lock: the line below changes while the version is odd. Each acquire pairs with the
    // release of the same store in publish().
    const uint32_t version = version_.load(std::memory_order_acquire);
    const uint64_t base_ticks = base_ticks_.load(std::memory_order_acquire);
    const int64_t base_ns = base_ns_.load(std::memory_order_acquire);
    const uint64_t rate = ns_per_tick_.load(std::memory_order_acquire);
    const uint64_t renew_ticks = renew_ticks_.load(std::memory_order_acquire);
    if (version != 0 && version % 2 == 0 && version_.load(std::memory_order_relaxed) == version) {
      const uint64_t ticks = Source::ticks() - base_ticks;
      return ticks < renew_ticks ? on_line(base_ns, ticks, rate)
                                 : renew(version, base_ticks, base_ns, rate, renew_ticks);
    }
    return learn(version);
  }

 private:
  __extension__ using Wide = __int128;

  // One moment on both clocks.
  struct Moment {
    uint64_t ticks = 0;
    int64_t ns = 0;
  };

  // Keeps the tightest of a few pairs: an interrupt between the two reads would spoil a pair.
  static Moment read_both() noexcept {
    Moment best;
    uint64_t narrowest = std::numeric_limits<uint64_t>::max();
    for (int i = 0; i < 5; ++i) {
      const uint64_t before = Source::ticks();
      const int64_t ns = Source::steady_ns();
      const uint64_t after = Source::ticks();
      if (after - before < narrowest) {
        narrowest = after - before;
        best = {before + (after - before) / 2, ns};
      }
    }
    return best;
  }

  // `rate` is ns per tick in 32.32 fixed point. Ticks are signed: a thread may have read the
  // counter just before another thread moved the base.
  static int64_t on_line(int64_t base_ns, uint64_t ticks, uint64_t rate) noexcept {
    return base_ns +
           static_cast<int64_t>(
               (static_cast<Wide>(static_cast<int64_t>(ticks)) * static_cast<int64_t>(rate)) >> 32);
  }

  // Out of line, so that now_ns() does not save registers for it.
  [[gnu::cold, gnu::noinline]] int64_t learn(uint32_t version) noexcept {
    const int64_t now_ns = Source::steady_ns();
    if (is_usable_ && version == 0 && now_ns - start_.ns > kLearnNs &&
        version_.compare_exchange_strong(version, 1, std::memory_order_relaxed)) {
      const Moment now = read_both();
      publish(now, now.ns, ns_per_tick(start_, now), 4 * (now.ns - start_.ns), 2);
    }
    return now_ns;
  }

  [[gnu::cold, gnu::noinline]] int64_t renew(uint32_t version, uint64_t base_ticks, int64_t base_ns,
                                             uint64_t rate, uint64_t renew_ticks) noexcept {
    const auto period = static_cast<int64_t>(renew_ticks);
    const auto early = static_cast<int64_t>(Source::ticks() - base_ticks);
    if (early < period && early > -period) {
      // The counter was read before another thread moved the base.
      return on_line(base_ns, static_cast<uint64_t>(early), rate);
    }
    if (!version_.compare_exchange_strong(version, version + 1, std::memory_order_relaxed)) {
      return Source::steady_ns();
    }
    const Moment base{base_ticks, base_steady_ns_.load(std::memory_order_relaxed)};
    const Moment now = read_both();
    const auto ticks = static_cast<int64_t>(now.ticks - base_ticks);
    const int64_t next_ns = 4 * (now.ns - base.ns);
    const int64_t ahead_ns = on_line(base_ns, now.ticks - base_ticks, rate) - now.ns;
    if (ticks < period || ahead_ns > kMaxSlewNs || ahead_ns < -kMaxSlewNs) {
      publish(now, now.ns, static_cast<double>(rate) / kOne, next_ns, version + 2);
      return now.ns;
    }
    const double measured = ns_per_tick(base, now);
    if (ticks > 2 * period) {  // the last reading was so long ago that a jump goes forwards
      publish(now, now.ns, measured, next_ns, version + 2);
      return now.ns;
    }
    const double slew =
        1.0 - static_cast<double>(ahead_ns) / static_cast<double>(std::min(next_ns, kRenewNs));
    publish(now, now.ns + ahead_ns, measured * slew, next_ns, version + 2);
    return now.ns + ahead_ns;
  }

  static double ns_per_tick(const Moment& from, const Moment& to) noexcept {
    return static_cast<double>(to.ns - from.ns) / static_cast<double>(to.ticks - from.ticks);
  }

  // Starts a line at `now`, where the clock shows `own_ns`, for at most `next_ns`.
  void publish(const Moment& now, int64_t own_ns, double rate, int64_t next_ns,
               uint32_t version) noexcept {
    const auto period_ns = static_cast<double>(std::clamp(next_ns, kLearnNs, kRenewNs));
    base_ticks_.store(now.ticks, std::memory_order_release);
    base_ns_.store(own_ns, std::memory_order_release);
    ns_per_tick_.store(static_cast<uint64_t>(rate * kOne), std::memory_order_release);
    renew_ticks_.store(static_cast<uint64_t>(period_ns / rate), std::memory_order_release);
    base_steady_ns_.store(now.ns, std::memory_order_release);
    version_.store(version, std::memory_order_release);
  }

  static constexpr double kOne = 4294967296.0;

  const bool is_usable_;
  Moment start_;
  // 0 until the rate is known; odd while it changes. The child of a fork may inherit an odd
  // version, and then returns steady_ns() for good.
  std::atomic<uint32_t> version_{0};
  // The line from ticks to ns: from its base until renew_ticks_ later.
  std::atomic<uint64_t> base_ticks_{0};
  std::atomic<int64_t> base_ns_{0};
  std::atomic<uint64_t> ns_per_tick_{0};
  std::atomic<uint64_t> renew_ticks_{0};
  std::atomic<int64_t> base_steady_ns_{0};  // steady_ns() at the base
};

}  // namespace fasttime
