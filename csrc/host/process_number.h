// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// A number for this process. The child of a fork gets another one, so that a scope or a context
// stack inherited from the parent can be recognised. Thread-safe, never waits.
uint32_t process_number() noexcept;

// Called once in the child of a fork.
void renew_process_number() noexcept;

}  // namespace fasttime
