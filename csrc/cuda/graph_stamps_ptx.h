// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

// The kernels of graph_stamps.cu as PTX text, which the driver translates for its device.
extern const char kGraphStampsPtx[];

}  // namespace fasttime
