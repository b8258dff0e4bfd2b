// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/stream_hold.h"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "cuda/contexts.h"
#include "host/process_number.h"
#include "host/scoped_gil_release.h"

namespace fasttime {
namespace {

// A word of pinned memory on which one stream at a time waits. Each hold waits for a greater number
// than the hold before it. So a word can be used again at once, even if the stream has not yet seen
// its release.
struct Word {
  std::atomic<uint32_t>* address = nullptr;
  uint32_t last = 0;
  bool in_use = false;
};

// The device reads four plain bytes.
static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);

constexpr size_t kWords = 64;
constexpr size_t kBytesApart = 64;

// Allocated by the first hold and never freed, because a stream may still wait on a word. The child
// of a fork does not use it: CUDA is retired there.
struct Words {
  std::mutex mutex;  // guards words; taken before the runtime mutex
  std::array<Word, kWords> words;
};
Words& words() {
  static auto* instance = new Words;
  return *instance;
}

[[noreturn]] void refuse() {
  throw std::runtime_error("the stream cannot be held: " + last_failure());
}

// Allocates the memory of all words. May wait for the device, so it releases the GIL. The caller
// must not hold the words mutex.
unsigned char* allocate_words(const CudaRuntime& cuda) {
  void* memory = nullptr;
  int status = cuda::kSuccess;
  {
    // Without the guard, an allocation on any thread would destroy a capture in global mode.
    const RelaxedCaptureGuard guard(cuda);
    const ScopedGilRelease meanwhile;
    status = cuda.host_alloc(&memory, kWords * kBytesApart,
                             cuda::kHostAllocPortable | cuda::kHostAllocMapped);
  }
  if (status != cuda::kSuccess) {
    note_runtime_failure(cuda, "cudaHostAlloc", status);
    refuse();
  }
  return static_cast<unsigned char*>(memory);
}

bool are_allocated() {
  const std::lock_guard<std::mutex> lock(words().mutex);
  return words().words[0].address != nullptr;
}

Word& take_word(const CudaRuntime& cuda) {
  // If two threads allocate at once, the memory of the second one is leaked: cudaFreeHost may wait
  // for the device too.
  unsigned char* memory = are_allocated() ? nullptr : allocate_words(cuda);
  const std::lock_guard<std::mutex> lock(words().mutex);
  auto& all = words().words;
  for (size_t i = 0; i < kWords && memory != nullptr && all[i].address == nullptr; ++i) {
    all[i].address = new (memory + i * kBytesApart) std::atomic<uint32_t>(0);
  }
  for (Word& word : all) {
    if (!word.in_use) {
      word.in_use = true;
      ++word.last;
      return word;
    }
  }
  throw std::runtime_error("the stream cannot be held: 64 streams are held already; release one");
}

// Makes the stream wait until the word is at least `last`. Both wrap around together. If the launch
// queue is full, the call itself waits for the device.
int hold(const CudaRuntime& cuda, void* stream, const Word& word) {
  const ScopedGilRelease meanwhile;
  return cuda.stream_wait_value(stream, reinterpret_cast<uintptr_t>(word.address), word.last,
                                cuda::kWaitValueAtLeast);
}

void return_word(Word& word) noexcept {
  const std::lock_guard<std::mutex> lock(words().mutex);
  word.in_use = false;
}

}  // namespace

struct StreamHold::Watchdog {
  explicit Watchdog(Word& held) noexcept : word(held) {}

  // Releases the stream, unless it is released already. Returns whether the first release was in
  // time. The stream waits for this store; its release order makes earlier writes of the host
  // visible to the work that then runs.
  bool release(bool in_time) noexcept {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!released) {
      released = true;
      was_in_time = in_time;
      word.address->store(word.last, std::memory_order_release);
    }
    return was_in_time;
  }

  void watch(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock<std::mutex> lock(mutex);
    if (!done.wait_until(lock, deadline, [this] { return released; })) {
      lock.unlock();
      release(false);
    }
  }

  Word& word;
  std::mutex mutex;  // guards the members below
  std::condition_variable done;
  bool released = false;
  bool was_in_time = true;
  std::thread thread;
};

StreamHold::StreamHold(const CudaRuntime& cuda, const Place& place, int64_t timeout_ns)
    : process_(process_number()) {
  if (cuda.stream_wait_value == nullptr || cuda.host_alloc == nullptr) {
    throw std::runtime_error(
        "the stream cannot be held: the CUDA driver has no cuStreamWaitValue32_v2; update it to "
        "CUDA "
        "11.7 or newer");
  }
  const ScopedContext guard(cuda, place.device);
  Word& word = take_word(cuda);
  try {
    watchdog_ = std::make_unique<Watchdog>(word);
    // The watchdog comes first: if its thread cannot start, no stream is held.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout_ns);
    watchdog_->thread = std::thread(&Watchdog::watch, watchdog_.get(), deadline);
    if (const int status = hold(cuda, place.stream, word)) {
      note_failure(cuda, "cuStreamWaitValue32_v2", status);
      refuse();
    }
  } catch (...) {
    if (watchdog_ != nullptr && watchdog_->thread.joinable()) {
      release();
    } else {
      return_word(word);
    }
    throw;
  }
}

StreamHold::~StreamHold() {
  if (process_ != process_number()) {
    // The watchdog thread belongs to the parent, so it cannot be joined here.
    watchdog_.release();
    return;
  }
  release();
}

bool StreamHold::release() noexcept {
  if (process_ != process_number()) {
    return false;
  }
  const bool in_time = watchdog_->release(true);
  watchdog_->done.notify_one();
  if (!word_is_returned_) {
    word_is_returned_ = true;
    if (watchdog_->thread.joinable()) {
      watchdog_->thread.join();
    }
    return_word(watchdog_->word);
  }
  return in_time;
}

}  // namespace fasttime
