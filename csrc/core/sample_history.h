// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "core/sample.h"

namespace fasttime {

// The last samples of a site, oldest first, in blocks of a fixed size. A sample never moves, so
// add() takes the same time for any number of samples. Not thread-safe.
class SampleHistory {
 public:
  SampleHistory() = default;
  ~SampleHistory();
  SampleHistory(SampleHistory&& other) noexcept;
  SampleHistory& operator=(SampleHistory&& other) noexcept;
  SampleHistory(const SampleHistory&) = delete;
  SampleHistory& operator=(const SampleHistory&) = delete;

  size_t size() const noexcept { return size_; }
  // Adds a sample and drops the oldest ones beyond `keep`, which is not 0. Allocates at most one
  // block, and none once it is full. Without memory, the sample is left out.
  void add(const Sample& sample, size_t keep) noexcept;
  // Drops all samples but the last `keep`. Returns the memory to free, so that the caller can free
  // it after it has released its lock.
  [[nodiscard]] SampleHistory drop_all_but(size_t keep) noexcept;
  // Appends the samples to a vector that has room for them.
  void copy_to(std::vector<Sample>& samples) const noexcept;

 private:
  static constexpr size_t kBlock = 64;
  struct Block {
    Block* next = nullptr;
    std::array<Sample, kBlock> samples;
  };

  void drop_oldest() noexcept;
  Block* next_block() noexcept;

  Block* first_ = nullptr;
  Block* last_ = nullptr;
  Block* unused_ = nullptr;  // one block whose samples have all been dropped
  size_t dropped_ = 0;       // samples at the start of the first block that have been dropped
  size_t size_ = 0;
};

}  // namespace fasttime
