// SPDX-License-Identifier: BSD-3-Clause
#include "host/scoped_gil_release.h"

namespace fasttime {
namespace {

BlockingHooks g_hooks;

}  // namespace

void set_blocking_hooks(BlockingHooks hooks) noexcept { g_hooks = hooks; }

ScopedGilRelease::ScopedGilRelease() noexcept
    : token_(g_hooks.let_go == nullptr ? nullptr : g_hooks.let_go()) {}

ScopedGilRelease::~ScopedGilRelease() {
  if (token_ != nullptr) {
    g_hooks.take_back(token_);
  }
}

}  // namespace fasttime
