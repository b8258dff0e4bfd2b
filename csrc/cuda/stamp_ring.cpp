// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/stamp_ring.h"

#include <algorithm>

namespace fasttime {
namespace {

constexpr uint64_t kPassMask = (uint64_t{1} << (64 - kStampTimeBits)) - 1;

// The device writes while the host reads. The acquire keeps the order of two reads.
uint64_t load(const uint64_t& word) noexcept { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

}  // namespace

StampRing::Answer StampRing::read(uint64_t n, Pass& pass) const noexcept {
  const StampEntry& entry = entries[n & (depth - 1)];
  uint64_t tag = load(entry.tag);
  if (tag >> 1 == n + 1) {
    const uint64_t time = load(entry.time);
    if ((time & kPassMask) == (n & kPassMask)) {
      pass.time = time >> (64 - kStampTimeBits);
      pass.is_alone = (tag & 1) != 0;
      return Answer::kThere;
    }
    // Half written: by this pass, or by a later pass that overwrites it.
    tag = load(entry.tag);
  }
  if (tag >> 1 > n + 1) {
    pass.newest = (tag >> 1) - 1;
    return Answer::kOverwritten;
  }
  return Answer::kNotYet;
}

uint64_t StampRing::passes() const noexcept {
  uint64_t passes = 0;
  for (uint32_t i = 0; i < depth; ++i) {
    passes = std::max(passes, load(entries[i].tag) >> 1);
  }
  return passes;
}

void StampRing::clear() noexcept {
  base += passes();
  std::fill(entries, entries + depth, StampEntry{});
}

}  // namespace fasttime
