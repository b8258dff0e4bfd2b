// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <thread>

namespace fasttime {

// A lock for short sections such as a few pointer swaps: one atomic exchange to lock, one store to
// unlock. Do not call CUDA or Python between lock() and unlock(). After a short spin lock() yields,
// so that a holder that lost its core can run.
class SpinLock {
 public:
  void lock() noexcept {
    for (int spins = 0; taken_.exchange(true, std::memory_order_acquire);) {
      if (++spins > kSpinsBeforeYield) {
        std::this_thread::yield();
      }
    }
  }

  // The release pairs with the acquire in lock() and try_lock().
  void unlock() noexcept { taken_.store(false, std::memory_order_release); }

  bool try_lock() noexcept { return !taken_.exchange(true, std::memory_order_acquire); }

 private:
  static constexpr int kSpinsBeforeYield = 64;
  std::atomic<bool> taken_{false};
};

}  // namespace fasttime
