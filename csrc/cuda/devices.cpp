// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/devices.h"

#include <array>
#include <atomic>
#include <new>

#include "cuda/contexts.h"

namespace fasttime {
namespace {

std::array<std::atomic<Device*>, kMaxDevices> g_devices{};

}  // namespace

[[gnu::hot]] Device* device_at(const CudaRuntime& cuda, int index) noexcept {
  if (index < 0 || index >= kMaxDevices) {
    return nullptr;
  }
  auto& slot = g_devices[static_cast<size_t>(index)];
  if (Device* known = slot.load(std::memory_order_acquire)) {
    return known;
  }
  if (!is_started(cuda, index)) {
    return nullptr;
  }
  const ScopedContext guard(cuda, index);
  auto* made = guard.holds() ? new (std::nothrow) Device : nullptr;
  if (made == nullptr) {
    return nullptr;
  }
  keep_context(cuda, index);
  made->pool.prefill(cuda);
  made->clock.prepare(cuda);
  Device* expected = nullptr;
  // Pairs with the acquire above. If two threads race, the second one's events are leaked, because
  // destroying them is a driver call that can hang.
  return slot.compare_exchange_strong(expected, made, std::memory_order_acq_rel) ? made : expected;
}

void forget_devices() noexcept {
  forget_contexts();
  for (auto& slot : g_devices) {
    slot.store(nullptr, std::memory_order_release);
  }
}

}  // namespace fasttime
