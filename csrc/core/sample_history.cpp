// SPDX-License-Identifier: BSD-3-Clause
#include "core/sample_history.h"

#include <new>
#include <utility>

namespace fasttime {

SampleHistory::~SampleHistory() {
  delete unused_;
  while (first_ != nullptr) {
    delete std::exchange(first_, first_->next);
  }
}

SampleHistory::SampleHistory(SampleHistory&& other) noexcept { *this = std::move(other); }

// The other history takes over the old blocks.
SampleHistory& SampleHistory::operator=(SampleHistory&& other) noexcept {
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  std::swap(unused_, other.unused_);
  std::swap(dropped_, other.dropped_);
  std::swap(size_, other.size_);
  return *this;
}

void SampleHistory::add(const Sample& sample, size_t keep) noexcept {
  while (size_ >= keep) {
    drop_oldest();
  }
  const size_t place = (dropped_ + size_) % kBlock;
  if (place == 0 || last_ == nullptr) {
    Block* block = next_block();
    if (block == nullptr) {
      return;
    }
    (first_ == nullptr ? first_ : last_->next) = block;
    last_ = block;
  }
  last_->samples[place] = sample;
  ++size_;
}

SampleHistory::Block* SampleHistory::next_block() noexcept {
  if (unused_ == nullptr) {
    return new (std::nothrow) Block;
  }
  Block* block = std::exchange(unused_, nullptr);
  block->next = nullptr;
  return block;
}

void SampleHistory::drop_oldest() noexcept {
  ++dropped_;
  --size_;
  if (dropped_ == kBlock) {
    Block* emptied = std::exchange(first_, first_->next);
    last_ = first_ == nullptr ? nullptr : last_;
    delete std::exchange(unused_, emptied);
    dropped_ = 0;
  }
}

SampleHistory SampleHistory::drop_all_but(size_t keep) noexcept {
  SampleHistory dropped;
  if (keep == 0) {
    dropped = std::move(*this);
    return dropped;
  }
  Block* end = nullptr;
  while (size_ > keep && dropped_ + size_ - keep >= kBlock) {
    Block* block = std::exchange(first_, first_->next);
    (end == nullptr ? dropped.first_ : end->next) = block;
    end = block;
    block->next = nullptr;
    size_ -= kBlock - dropped_;
    dropped_ = 0;
  }
  if (size_ > keep) {
    dropped_ += size_ - keep;
    size_ = keep;
  }
  dropped.unused_ = std::exchange(unused_, nullptr);
  return dropped;
}

void SampleHistory::copy_to(std::vector<Sample>& samples) const noexcept {
  size_t at = dropped_;
  const Block* block = first_;
  for (size_t i = 0; i < size_; ++i, ++at) {
    if (at == kBlock) {
      block = block->next;
      at = 0;
    }
    samples.push_back(block->samples[at]);
  }
}

}  // namespace fasttime
