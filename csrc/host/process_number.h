// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// A number for this process. The child of a fork gets a new number, so that it can recognise a
// scope or a context stack of its parent. Thread-safe, never waits.
uint32_t process_number() noexcept;

// Call once in the child of a fork.
void renew_process_number() noexcept;

}  // namespace fasttime
