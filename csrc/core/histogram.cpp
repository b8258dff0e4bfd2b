// SPDX-License-Identifier: BSD-3-Clause
#include "core/histogram.h"

#include <cmath>
#include <new>
#include <numeric>

namespace fasttime {

Histogram::Histogram(const Histogram& other) {
  for (size_t i = 0; i < kOctaves; ++i) {
    if (other.octaves_[i]) {
      octaves_[i] = std::make_unique<Octave>(*other.octaves_[i]);
    }
  }
}

Histogram::Histogram(Histogram&& other) noexcept : octaves_(std::move(other.octaves_)) {
  other.last_ = nullptr;
}

Histogram& Histogram::operator=(Histogram&& other) noexcept {
  octaves_ = std::move(other.octaves_);
  last_ = nullptr;
  other.last_ = nullptr;
  return *this;
}

Histogram::Octave* Histogram::find(uint32_t octave) noexcept {
  auto& row = octaves_[octave];
  if (!row) {
    row.reset(new (std::nothrow) Octave{});
  }
  last_octave_ = octave;
  last_ = row.get();
  return last_;
}

uint64_t Histogram::at(size_t bucket) const noexcept {
  const auto& row = octaves_[bucket / kSteps];
  return row ? (*row)[bucket % kSteps] : 0;
}

void Histogram::add(const Histogram& other) {
  for (const auto& [bucket, count] : other.filled()) {
    add_to_bucket(bucket, count);
  }
}

void Histogram::add_to_bucket(size_t bucket, uint64_t count) {
  auto& row = octaves_[bucket / kSteps];
  if (!row) {
    row = std::make_unique<Octave>();
  }
  (*row)[bucket % kSteps] += count;
}

bool Histogram::subtract(const Histogram& earlier) noexcept {
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    if (at(bucket) < earlier.at(bucket)) {
      return false;
    }
  }
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    if (const uint64_t count = earlier.at(bucket)) {
      (*octaves_[bucket / kSteps])[bucket % kSteps] -= count;
    }
  }
  return true;
}

double Histogram::quantile(double q) const noexcept {
  uint64_t total = 0;
  for (const auto& row : octaves_) {
    total = row ? std::accumulate(row->begin(), row->end(), total) : total;
  }
  if (total == 0) {
    return 0;
  }
  // The nearest rank: the smallest value with at least q of all at or below it.
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(total));
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t octave = 0; octave < kOctaves; ++octave) {
    if (!octaves_[octave]) {
      continue;
    }
    for (size_t step = 0; step < kSteps; ++step) {
      seen += (*octaves_[octave])[step];
      if (seen >= rank) {
        return middle_of(octave * kSteps + step);
      }
    }
  }
  return 0;
}

std::vector<Histogram::Filled> Histogram::filled() const {
  std::vector<Filled> found;
  for (size_t octave = 0; octave < kOctaves; ++octave) {
    for (size_t step = 0; octaves_[octave] && step < kSteps; ++step) {
      if (const uint64_t count = (*octaves_[octave])[step]) {
        found.emplace_back(octave * kSteps + step, count);
      }
    }
  }
  return found;
}

double Histogram::middle_of(size_t bucket) noexcept {
  const size_t octave = bucket / kSteps;
  const size_t step = bucket % kSteps;
  if (octave == 0) {
    return static_cast<double>(step);
  }
  const double width = std::ldexp(1.0, static_cast<int>(octave) - 1);
  return (static_cast<double>(kSteps + step) * width) + (width - 1) / 2;
}

}  // namespace fasttime
