// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <cstdlib>

// Ends the process at once, whatever other threads are doing: the first thing that is wrong is the
// one to look at. Holds in every build, unlike assert.
#define FASTTIME_CHECK(condition)                                                         \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::_Exit(1);                                                                      \
    }                                                                                     \
  } while (false)
