// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/cuda_runtime.h"
#include "cuda/torch_streams.h"

namespace fasttime {

// Makes a stream wait, without a kernel, until release(). Work that is queued behind the hold then
// runs without a gap. Works on every stream, including the NULL stream.
//
// A hold could stop the program: a thread that waits for the device, allocates or frees memory, or
// fills the launch queue (some 1,020 entries) during the hold would wait for its own release. So a
// watchdog, a thread that lives as long as the hold and needs no GIL, releases the stream after
// `timeout_ns` of real time. release() then returns false, and times measured behind the hold are
// not valid.
//
// Do not hold a stream that is being captured. Use a hold from one thread. The constructor may wait
// if the launch queue is full, without the GIL; release() waits until the watchdog has ended. In
// the child of a fork a hold does nothing.
class StreamHold {
 public:
  // Throws std::runtime_error, with a message for the user, if the stream cannot be held.
  StreamHold(const CudaRuntime& cuda, const Place& place, int64_t timeout_ns);
  ~StreamHold();
  StreamHold(const StreamHold&) = delete;
  StreamHold& operator=(const StreamHold&) = delete;

  // Releases the stream. True if it was held until now, false if the watchdog released it earlier.
  // Further calls change nothing and return the same.
  bool release() noexcept;

 private:
  struct Watchdog;
  std::unique_ptr<Watchdog> watchdog_;
  uint32_t process_;
  // Set by release(), not by the destructor: a traceback may keep this object alive for long.
  bool word_is_returned_ = false;
};

}  // namespace fasttime
