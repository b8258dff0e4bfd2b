// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// The calling thread's number as the system has it, which is also Python's
// threading.get_native_id(). Never 0. A system call: whoever needs it often keeps it.
uint64_t thread_number() noexcept;

}  // namespace fasttime
