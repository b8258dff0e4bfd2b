// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

// What to let go of around a driver call that may block, and how to get it back: the GIL, where
// there is one. Null: nothing.
struct BlockingHooks {
  void* (*let_go)() = nullptr;
  void (*take_back)(void* token) = nullptr;
};

// Called once, at import.
void set_blocking_hooks(BlockingHooks hooks) noexcept;

// Lets go for its lifetime. Its end may wait for the others, and must find no lock of ours held but
// one that is only tried.
class ScopedGilRelease {
 public:
  ScopedGilRelease() noexcept;
  ~ScopedGilRelease();
  ScopedGilRelease(const ScopedGilRelease&) = delete;
  ScopedGilRelease& operator=(const ScopedGilRelease&) = delete;

 private:
  void* token_;
};

}  // namespace fasttime
