// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace fasttime {

// The operating system's number of the calling thread, as threading.get_native_id() returns it.
// Never 0. This is a system call, so keep the result if you need it often.
uint64_t thread_number() noexcept;

}  // namespace fasttime
