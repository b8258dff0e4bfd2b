// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fasttime {

// One entry of a ring. Pass number n of a stamp writes both words, in any order. Each word is
// written in one piece.
struct StampEntry {
  uint64_t time = 0;  // the low 48 bits of the device's timer in ns, then the low 16 bits of n
  uint64_t tag = 0;   // n + 1, then one bit: whether no other replay overlapped
};

// A moment on the device's timer, modulo 2^48 ns (78 hours).
using StampTime = uint64_t;
constexpr int kStampTimeBits = 48;

// The nanoseconds from `begin` to `end`, which must be less than 39 hours apart.
constexpr int64_t stamp_difference(StampTime begin, StampTime end) noexcept {
  constexpr int kUnused = 64 - kStampTimeBits;
  return static_cast<int64_t>((end - begin) << kUnused) >> kUnused;
}

// Where a stamp in a graph leaves its times: the last `depth` passes, in pinned host memory. The
// device writes the entries, and any thread may read them without a call to CUDA.
struct StampRing {
  static constexpr uint32_t kMaxDepth = 1 << 15;

  StampEntry* entries = nullptr;
  uint32_t slot = 0;   // its counter on the device
  uint32_t depth = 0;  // a power of two, at most kMaxDepth
  uint64_t base = 0;   // how often the stamp had run when it was last taken
  // How many readers may still read entries. The ring is not taken again before this is 0.
  std::atomic<uint32_t> readers{0};

  enum class Answer { kNotYet, kThere, kOverwritten };
  struct Pass {
    StampTime time = 0;
    bool is_alone = false;  // no other replay of the capture overlapped this pass
    uint64_t newest = 0;    // with kOverwritten: the pass that is there now
  };

  // Reads pass number `n`. Never waits.
  Answer read(uint64_t n, Pass& pass) const noexcept;
  // How many passes have run. Exact once no pass can run.
  uint64_t passes() const noexcept;
  // Empties the ring for its next use, which counts passes from 0 again. No pass may run.
  void clear() noexcept;
};

}  // namespace fasttime
