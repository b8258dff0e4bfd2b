// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>

#include "cuda/torch_streams.h"

namespace fasttime {

// Several different streams of one device, for a scope with streams=.
struct Places {
  // Each stream costs two records, so more streams would make a scope expensive.
  static constexpr size_t kMost = 16;

  int device = -1;  // -1: the current device when the scope begins
  size_t count = 0;
  std::array<void*, kMost> streams{};
};

// A scope takes one Place. A Place for several streams has this device, and points to their Places.
constexpr int kSeveralStreams = -2;

inline Place place_of(const Places& places) noexcept {
  return {kSeveralStreams, const_cast<Places*>(&places)};
}

// The streams that a Place stands for; null if it is one stream.
inline const Places* places_of(const Place& place) noexcept {
  return place.device == kSeveralStreams ? static_cast<const Places*>(place.stream) : nullptr;
}

}  // namespace fasttime
