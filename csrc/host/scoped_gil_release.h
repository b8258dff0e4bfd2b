// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

// How to release a lock around a driver call that may block, and how to take it back. In Python
// this lock is the GIL; a null hook does nothing.
struct BlockingHooks {
  void* (*let_go)() = nullptr;
  void (*take_back)(void* token) = nullptr;
};

// Call once, at import.
void set_blocking_hooks(BlockingHooks hooks) noexcept;

// Releases the GIL for its lifetime. The destructor waits for the GIL, so the caller must not hold
// a lock of fasttime, except one that other threads only try.
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
