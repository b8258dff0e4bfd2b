// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

// Lets ScopedGilRelease release the GIL, if the thread holds it. Called once, at import.
void install_gil_hooks() noexcept;

}  // namespace fasttime
