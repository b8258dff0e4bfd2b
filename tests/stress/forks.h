// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "actors.h"

// Forks again and again while workers record. Each child must find its recorders empty, must not
// release the stream that the parent holds, must time on the host, and must exit with 0. The parent
// must not be affected.
void run_and_fork(Stage& stage, uint64_t steps, uint64_t seed);
