// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// What kind of stretch a scope of a handle is. Other scopes have kNone.
enum class Stretch : uint8_t {
  kNone,
  kForward,    // a call of a module
  kBackward,   // a visit of the backward pass to a module
  kRecompute,  // a call that activation checkpointing repeats during the backward pass
  kPart,       // a part of a step
  kLastPart,   // the part that ends a step
};

// Where a scope of a handle lies among the others. Scopes of one chain belong to one thread and one
// lane, and nest: they end in the opposite order of their begins.
struct Nesting {
  uint32_t step = 0;
  uint16_t chain = 0;  // of a last part: how many parts the step has, modulo 2^16
  uint8_t depth = 0;   // how many open scopes of the chain were around it; for a part: its number
  Stretch stretch = Stretch::kNone;
};

}  // namespace fasttime
