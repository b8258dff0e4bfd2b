// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "actors.h"

// Lets workers record while this thread forks, for as long as they are at it. Each child must find
// its recorders empty and the parent's held stream out of reach, time on the host, report and exit
// with 0; the parent must not notice.
void run_and_fork(Stage& stage, uint64_t steps, uint64_t seed);
