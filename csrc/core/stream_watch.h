// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "cuda/devices.h"
#include "cuda/torch_streams.h"
#include "cuda/waits.h"

namespace fasttime {

// Finds streams that keep working after a scope has ended, for debugging. Never waits for the
// device. At the end of a scope, mark() records an event on each of the scope's own streams, and on
// each other stream that still has work. Later, read() compares them. A stream was busy beyond the
// scope's end if its event happened more than kMarginNs after
//   * the host had recorded it, because a stream without work passes an event at once, and
//   * the scope's own last event, because work that the scope's stream waited for lies inside it.
// Both are needed. If the host takes long to record, a stream that is done passes its event later
// than the scope's stream. A stream that was waited for passes its event long after the host
// recorded it.
//
// An idle stream gets no event. Streams share a few hardware queues, 8 by default (see
// CUDA_DEVICE_MAX_CONNECTIONS). So an event on an idle stream may wait behind the kernel of a busy
// stream, and the idle stream would look busy.
//
// Each mark asks each other stream for its work, and records an event per own stream and per busy
// stream. The caller holds the GIL. It is released while the streams are asked, and around each
// record, because a record blocks while the stream's launch queue is full, as any launch does.
//
// Bounded: at most kMaxMarks marks are pending. Further marks count as skipped, as do streams that
// capture, that fail, or that cannot be placed on the host's clock. If memory runs out, mark() and
// read() throw std::bad_alloc and lose no event.
class StreamWatch {
 public:
  static constexpr size_t kMaxMarks = 64;
  static constexpr int64_t kMarginNs = 20'000;

  struct Busy {
    uint64_t number;    // of the mark
    Place place;        // the busy stream
    int64_t beyond_ns;  // from the scope's last event to the stream's event
  };
  struct Answers {
    std::vector<Busy> busy;
    std::vector<uint64_t> done;  // marks with nothing left to read
  };

  StreamWatch() noexcept;
  ~StreamWatch();
  StreamWatch(const StreamWatch&) = delete;
  StreamWatch& operator=(const StreamWatch&) = delete;

  // Prepares the clock of a device, which pauses for up to 30 us: see DeviceClock::renew(). False
  // if the process does not use the device.
  static bool prepare(const CudaRuntime& cuda, int device) noexcept;

  // Marks the end of scope `number`. Returns how many other streams still have work: if none has,
  // read() has nothing to say about this mark. Empty if no stream gave an answer.
  std::optional<size_t> mark(const CudaRuntime& cuda, uint64_t number,
                             const std::vector<Place>& own, const std::vector<Place>& others);
  // Reads what the device has passed. A mark is done once every stream has answered.
  Answers read(const CudaRuntime& cuda);

  size_t pending() const noexcept { return marks_.size(); }
  // How many streams of marks gave no answer.
  uint64_t skipped() const noexcept { return skipped_; }

 private:
  struct Stamp {
    Device* device;
    Place place;
    Event* event;
    int64_t recorded_ns;  // when the record returned
  };
  struct Mark {
    uint64_t number = 0;
    std::vector<Stamp> own;
    std::vector<Stamp> others;  // without an answer yet
  };
  enum class Answer { kLater, kIdle, kBusy, kNone };

  // Asks `count` streams for their work.
  static void ask_for_work(const CudaRuntime& cuda, const Place* places, size_t count,
                           StreamWork* found) noexcept;
  static bool record(const CudaRuntime& cuda, const Place& place, std::vector<Stamp>& stamps);
  static void release(const Stamp& stamp, bool is_done) noexcept;
  static void release_all(const std::vector<Stamp>& stamps, bool are_done) noexcept;
  // The last of the own stamps; null while one of them is not done. `failed` if there is none.
  const Stamp* last_own(const CudaRuntime& cuda, const Mark& mark, bool& failed) const noexcept;
  static Answer ask(const CudaRuntime& cuda, const Stamp& own, const Stamp& other,
                    int64_t& beyond_ns) noexcept;
  bool read_mark(const CudaRuntime& cuda, Mark& mark, Answers& answers) noexcept;
  void skip(const Mark& mark) noexcept;

  const uint32_t process_;  // events belong to the process that recorded them
  std::list<Mark> marks_;   // oldest first; a list, so that a reading can take them out
  uint64_t skipped_ = 0;
};

}  // namespace fasttime
