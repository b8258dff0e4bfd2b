// SPDX-License-Identifier: BSD-3-Clause
#include "host/process_number.h"

#include <atomic>

namespace fasttime {
namespace {

std::atomic<uint32_t> g_process_number{1};

}  // namespace

[[gnu::hot]] uint32_t process_number() noexcept {
  return g_process_number.load(std::memory_order_relaxed);
}

void renew_process_number() noexcept { g_process_number.fetch_add(1, std::memory_order_relaxed); }

}  // namespace fasttime
