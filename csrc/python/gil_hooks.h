// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

// Has ScopedGilRelease let the GIL go, where the thread holds it. Called once, at import.
void install_gil_hooks() noexcept;

}  // namespace fasttime
