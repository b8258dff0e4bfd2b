// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/cuda_runtime.h"
#include "cuda/torch_streams.h"

namespace fasttime {

// Keeps a stream waiting, without a kernel, from its making until release(), so that work can be
// queued behind it and then runs without a gap. A stream of any kind, the NULL one too.
//
// A stream that is held must not be held for ever: whoever waits for the device, frees or allocates
// memory, or fills the launch queue (some 1,020 entries) meanwhile would wait for its own release.
// So a watchdog, a thread that lives as long as the hold and needs no GIL, lets the stream go after
// `timeout_ns` of real time; release() then answers false, and what was timed behind the hold is
// not what it should be.
//
// Not for a stream that is being captured. Used from one thread; waits for nothing but, at the end,
// the watchdog's own. In the child of a fork it does nothing.
class StreamHold {
 public:
  // Throws std::runtime_error, in words for the user, where the stream cannot be held.
  StreamHold(const CudaRuntime& cuda, const Place& place, int64_t timeout_ns);
  ~StreamHold();
  StreamHold(const StreamHold&) = delete;
  StreamHold& operator=(const StreamHold&) = delete;

  // Lets the stream go. True if it was held until now, false if the watchdog had let it go. Calling
  // it again changes nothing, and answers the same.
  bool release() noexcept;

 private:
  struct Watchdog;
  std::unique_ptr<Watchdog> watchdog_;
  uint32_t process_;
  // From the release on, not from the end: an exception's traceback may keep this for long.
  bool word_is_back_ = false;
};

}  // namespace fasttime
