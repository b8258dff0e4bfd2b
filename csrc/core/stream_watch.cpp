// SPDX-License-Identifier: BSD-3-Clause
#include "core/stream_watch.h"

#include <algorithm>
#include <utility>

#include "core/sample.h"
#include "cuda/contexts.h"
#include "host/process_number.h"
#include "host/scoped_gil_release.h"

namespace fasttime {
namespace {

// Whether the event is done. Other answers than "not ready" are in `status`.
bool is_done(const CudaRuntime& cuda, const Event& event, int& status) noexcept {
  float ms = 0;
  status = elapsed_time(cuda, &ms, event.handle, event.handle);
  return status == cuda::kSuccess;
}

void note_reading(const CudaRuntime& cuda, int status) noexcept {
  if (!is_captured_event(status)) {
    note_failure(cuda, "cudaEventElapsedTime", status);
  }
}

}  // namespace

StreamWatch::StreamWatch() noexcept : process_(process_number()) {}

StreamWatch::~StreamWatch() {
  for (const Mark& mark : marks_) {
    skip(mark);
  }
}

bool StreamWatch::prepare(const CudaRuntime& cuda, int index) noexcept {
  Device* device = cuda.has_cuda ? device_at(cuda, index) : nullptr;
  if (device != nullptr) {
    device->clock.renew(cuda, index, cuda.host_now_ns(), true);
  }
  return device != nullptr;
}

void StreamWatch::ask_for_work(const CudaRuntime& cuda, const Place* places, size_t count,
                               StreamWork* found) noexcept {
  const ScopedGilRelease meanwhile;
  const RelaxedCaptureGuard relaxed(cuda);
  for (size_t i = 0; i < count; ++i) {
    found[i] = StreamWork::kFailed;
    if (!relaxed.is_relaxed() || is_per_thread(places[i].stream) ||
        device_at(cuda, places[i].device) == nullptr) {
      continue;
    }
    const ScopedContext guard(cuda, places[i].device);
    if (guard.holds()) {
      found[i] = work_of(cuda, places[i]);
    }
  }
}

bool StreamWatch::record(const CudaRuntime& cuda, const Place& place, std::vector<Stamp>& stamps) {
  Device* device = is_per_thread(place.stream) ? nullptr : device_at(cuda, place.device);
  if (device == nullptr) {
    return false;
  }
  const bool is_plain = is_plain_to_driver(cuda, place);
  const ScopedContext guard(cuda, is_plain ? ScopedContext::kNoDevice : place.device);
  if (!guard.holds()) {
    return false;
  }
  int status = cuda::kSuccess;
  const CaptureState capture = capture_state(cuda, place, status);
  if (capture != CaptureState::kNone) {
    if (capture == CaptureState::kUnknown) {
      note_failure(cuda, "cudaStreamIsCapturing", status);
    }
    return false;
  }
  EventQueue taken = device->pool.take(cuda, place.device, 1, status);
  Event* event = taken.pop();
  if (event == nullptr) {
    return false;
  }
  int64_t recorded_ns = 0;
  {
    const ScopedGilRelease meanwhile;
    status = record_event(cuda, event->handle, place, is_plain);
    recorded_ns = cuda.host_now_ns();
  }
  if (status != cuda::kSuccess) {
    note_failure(cuda, "cudaEventRecord", status);
    EventQueue back;
    back.push(event);
    device->pool.put_back(back);
    return false;
  }
  stamps.push_back({device, place, event, recorded_ns});
  return true;
}

void StreamWatch::release(const Stamp& stamp, bool is_done) noexcept {
  if (is_done) {
    EventQueue back;
    back.push(stamp.event);
    stamp.device->pool.put_back(back);
  } else {
    stamp.device->pool.park(stamp.event);
  }
}

void StreamWatch::release_all(const std::vector<Stamp>& stamps, bool are_done) noexcept {
  for (const Stamp& stamp : stamps) {
    release(stamp, are_done);
  }
}

void StreamWatch::skip(const Mark& mark) noexcept {
  skipped_ += mark.others.size();
  if (process_ == process_number()) {
    release_all(mark.own, false);
    release_all(mark.others, false);
  }
}

std::optional<size_t> StreamWatch::mark(const CudaRuntime& cuda, uint64_t number,
                                        const std::vector<Place>& own,
                                        const std::vector<Place>& others) {
  if (!cuda.has_cuda || process_ != process_number()) {
    return std::nullopt;
  }
  if (marks_.size() >= kMaxMarks) {
    skipped_ += others.size();
    return std::nullopt;
  }
  // All memory comes first, so that no event is lost where memory is short.
  std::list<Mark> made(1);
  Mark& mark = made.front();
  mark.number = number;
  mark.own.reserve(own.size());
  mark.others.reserve(others.size());
  std::vector<StreamWork> found(others.size(), StreamWork::kFailed);
  // First, because asking takes longer than the margin, and work is counted from here.
  const auto is_recorded = [&](const Place& place) { return record(cuda, place, mark.own); };
  if (!own.empty() && std::all_of(own.begin(), own.end(), is_recorded)) {
    ask_for_work(cuda, others.data(), others.size(), found.data());
  }
  size_t answers = 0;
  for (size_t i = 0; i < others.size(); ++i) {
    StreamWork& work = found[i];
    if (work == StreamWork::kUnfinished) {
      ask_for_work(cuda, &others[i], 1, &work);  // again: the work may have ended meanwhile
    }
    if (work == StreamWork::kUnfinished && !record(cuda, others[i], mark.others)) {
      work = StreamWork::kFailed;
    }
    answers += work == StreamWork::kNone || work == StreamWork::kUnfinished ? 1 : 0;
  }
  skipped_ += others.size() - answers;
  const size_t busy = mark.others.size();
  if (busy == 0) {
    release_all(mark.own, false);
  } else {
    marks_.splice(marks_.end(), made);
  }
  return answers == 0 ? std::nullopt : std::optional<size_t>(busy);
}

const StreamWatch::Stamp* StreamWatch::last_own(const CudaRuntime& cuda, const Mark& mark,
                                                bool& failed) const noexcept {
  const Stamp* last = nullptr;
  for (const Stamp& own : mark.own) {
    float ms = 0;
    const Stamp& origin = last == nullptr ? own : *last;
    const int status = elapsed_time(cuda, &ms, origin.event->handle, own.event->handle);
    if (status == cuda::kNotReady) {
      return nullptr;
    }
    if (status != cuda::kSuccess) {
      note_reading(cuda, status);
      failed = true;
      return nullptr;
    }
    last = ms >= 0 ? &own : last;
  }
  return last;
}

StreamWatch::Answer StreamWatch::ask(const CudaRuntime& cuda, const Stamp& own, const Stamp& other,
                                     int64_t& beyond_ns) noexcept {
  int status = cuda::kSuccess;
  if (!is_done(cuda, *other.event, status)) {
    if (status != cuda::kNotReady) {
      note_reading(cuda, status);
    }
    return status == cuda::kNotReady ? Answer::kLater : Answer::kNone;
  }
  PlacedMoment reached;
  if (!other.device->clock.place(cuda, other.event->handle, reached)) {
    return Answer::kNone;
  }
  if (reached.host_ns - other.recorded_ns <= kMarginNs + reached.uncertainty_ns) {
    return Answer::kIdle;
  }
  int64_t uncertainty_ns = 0;
  if (own.place.device == other.place.device) {
    float ms = 0;
    status = elapsed_time(cuda, &ms, own.event->handle, other.event->handle);
    if (status != cuda::kSuccess) {
      note_reading(cuda, status);
      return Answer::kNone;
    }
    beyond_ns = static_cast<int64_t>(whole_ns(ms));
  } else {
    PlacedMoment ended;
    if (!own.device->clock.place(cuda, own.event->handle, ended)) {
      return Answer::kNone;
    }
    beyond_ns = reached.host_ns - ended.host_ns;
    uncertainty_ns = reached.uncertainty_ns + ended.uncertainty_ns;
  }
  return beyond_ns > kMarginNs + uncertainty_ns ? Answer::kBusy : Answer::kIdle;
}

// False while a stream has no answer. Allocates nothing: `answers` has room.
bool StreamWatch::read_mark(const CudaRuntime& cuda, Mark& mark, Answers& answers) noexcept {
  bool failed = false;
  const Stamp* own = last_own(cuda, mark, failed);
  if (failed) {
    skip(mark);
    answers.done.push_back(mark.number);
    return true;
  }
  if (own == nullptr) {
    return false;
  }
  const auto has_answered = [&](const Stamp& other) {
    int64_t beyond_ns = 0;
    const Answer answer = ask(cuda, *own, other, beyond_ns);
    if (answer == Answer::kLater) {
      return false;
    }
    if (answer == Answer::kBusy) {
      answers.busy.push_back({mark.number, other.place, beyond_ns});
    }
    skipped_ += answer == Answer::kNone ? 1 : 0;
    release(other, answer != Answer::kNone);
    return true;
  };
  mark.others.erase(std::remove_if(mark.others.begin(), mark.others.end(), has_answered),
                    mark.others.end());
  if (!mark.others.empty()) {
    return false;
  }
  release_all(mark.own, true);
  answers.done.push_back(mark.number);
  return true;
}

StreamWatch::Answers StreamWatch::read(const CudaRuntime& cuda) {
  Answers answers;
  size_t others = 0;
  for (const Mark& mark : marks_) {
    others += mark.others.size();
  }
  answers.busy.reserve(others);
  answers.done.reserve(marks_.size());
  // Another thread may come in while a clock is renewed. It finds no marks, or its own.
  std::list<Mark> marks;
  marks.swap(marks_);
  if (!cuda.has_cuda || process_ != process_number()) {
    for (const Mark& mark : marks) {
      skip(mark);
      answers.done.push_back(mark.number);
    }
    return answers;
  }
  for (auto mark = marks.begin(); mark != marks.end();) {
    for (const Stamp& stamp : mark->others) {
      stamp.device->clock.renew(cuda, stamp.place.device, cuda.host_now_ns());
    }
    const ScopedContext guard(cuda, mark->own.front().place.device);
    mark = read_mark(cuda, *mark, answers) ? marks.erase(mark) : std::next(mark);
  }
  marks_.splice(marks_.begin(), marks);
  return answers;
}

}  // namespace fasttime
