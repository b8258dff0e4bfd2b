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

// A word of pinned memory that one stream at a time waits on. Each hold waits for a number greater
// than the last, so that a word can serve again at once, whether or not the stream has seen that it
// was let go.
struct Word {
  std::atomic<uint32_t>* address = nullptr;
  uint32_t last = 0;
  bool in_use = false;
};

// What the device looks at is four plain bytes.
static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);

constexpr size_t kWords = 64;
constexpr size_t kBytesApart = 64;

// Made at the first hold and never freed: a stream may still look at a word. In the child of a fork
// nobody asks for it, as CUDA is retired there.
struct Words {
  std::mutex mutex;  // guards all; taken before the runtime mutex
  std::array<Word, kWords> words;
};
Words& words() {
  static auto* instance = new Words;
  return *instance;
}

[[noreturn]] void refuse() {
  throw std::runtime_error("the stream cannot be held: " + last_failure());
}

void make_words(const CudaRuntime& cuda, std::array<Word, kWords>& all) {
  void* memory = nullptr;
  {
    // An allocation on any thread would destroy a capture in global mode.
    const RelaxedCaptureGuard guard(cuda);
    if (const int status = cuda.host_alloc(&memory, kWords * kBytesApart,
                                           cuda::kHostAllocPortable | cuda::kHostAllocMapped)) {
      note_runtime_failure(cuda, "cudaHostAlloc", status);
      refuse();
    }
  }
  auto* bytes = static_cast<unsigned char*>(memory);
  for (size_t i = 0; i < kWords; ++i) {
    all[i].address = new (bytes + i * kBytesApart) std::atomic<uint32_t>(0);
  }
}

Word& take_word(const CudaRuntime& cuda) {
  const std::lock_guard<std::mutex> lock(words().mutex);
  auto& all = words().words;
  if (all[0].address == nullptr) {
    make_words(cuda, all);
  }
  for (Word& word : all) {
    if (!word.in_use) {
      word.in_use = true;
      ++word.last;
      return word;
    }
  }
  throw std::runtime_error("the stream cannot be held: 64 others are held already; release one");
}

// From here on the stream waits until the word is at least `last`; what is in it wraps around
// together with that. Where the launch queue is full the call itself waits for the device.
int hold(const CudaRuntime& cuda, void* stream, const Word& word) {
  const ScopedGilRelease meanwhile;
  return cuda.stream_wait_value(stream, reinterpret_cast<uintptr_t>(word.address), word.last,
                                cuda::kWaitValueAtLeast);
}

void give_back(Word& word) noexcept {
  const std::lock_guard<std::mutex> lock(words().mutex);
  word.in_use = false;
}

}  // namespace

struct StreamHold::Watchdog {
  explicit Watchdog(Word& held) noexcept : word(held) {}

  // The first caller's answer stands. The store is what the stream waits for; what the host wrote
  // before is to be seen by what runs then.
  bool let_go(bool in_time) noexcept {
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
      let_go(false);
    }
  }

  Word& word;
  std::mutex mutex;  // guards what follows
  std::condition_variable done;
  bool released = false;
  bool was_in_time = true;
  std::thread thread;
};

StreamHold::StreamHold(const CudaRuntime& cuda, const Place& place, int64_t timeout_ns)
    : process_(process_number()) {
  if (cuda.stream_wait_value == nullptr || cuda.host_alloc == nullptr) {
    throw std::runtime_error(
        "the stream cannot be held: the driver has no cuStreamWaitValue32_v2 (it came with CUDA "
        "11.7)");
  }
  const ScopedContext guard(cuda, place.device);
  Word& word = take_word(cuda);
  try {
    watchdog_ = std::make_unique<Watchdog>(word);
    // The watchdog first: if there can be no thread, nothing is held.
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
      give_back(word);
    }
    throw;
  }
}

StreamHold::~StreamHold() {
  if (process_ != process_number()) {
    // The thread, and what waits for it, are the parent's.
    watchdog_.release();
    return;
  }
  release();
}

bool StreamHold::release() noexcept {
  if (process_ != process_number()) {
    return false;
  }
  const bool in_time = watchdog_->let_go(true);
  watchdog_->done.notify_one();
  if (!word_is_back_) {
    word_is_back_ = true;
    // There is none where it could not be started.
    if (watchdog_->thread.joinable()) {
      watchdog_->thread.join();
    }
    give_back(watchdog_->word);
  }
  return in_time;
}

}  // namespace fasttime
