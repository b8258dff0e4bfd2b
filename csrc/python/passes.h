// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/recorder.h"
#include "python/context_stack.h"

namespace fasttime {

// One pass through a scope object, between its __enter__ and its __exit__. On the list of its scope
// object and, as a StackMember, on the stack of its context.
struct Pass : StackMember {
  OpenScope open;
  Pass* previous;  // the next older pass of the same object; itself while not on the list
  Pass* next;      // the next newer pass; means nothing on the newest
};

// The open passes of one scope object. Several can be open at once:
//
//     s = scope("request")
//     async def handle():
//         with s: ...            one pass per task, all through one object
//
// An exit ends the newest pass of the context that exits, which is found on that context's stack.
// If the context has no pass, the exit ends the newest pass of all.
//
// A pass that begins while scopes are switched off is only counted, unless other passes are open.
//
// One pass at a time lies inside this object, so it needs no memory. Everything here needs the GIL.
class Passes {
 public:
  explicit Passes(const void* object) noexcept {
    first_.object = object;
    first_.previous = &first_;
  }
  Passes(const Passes&) = delete;
  Passes& operator=(const Passes&) = delete;

  Pass* newest() const noexcept { return newest_; }
  bool has_begun_off() const noexcept { return begun_off_ > 0; }
  void forget_begun_off() noexcept { begun_off_ = 0; }

  // A pass that is not on the list yet; null with MemoryError set.
  Pass* allocate() noexcept {
    if (!is_first_used_) {
      is_first_used_ = true;
      return &first_;
    }
    return allocate_separate();
  }
  // The same with an open mark, whose token it takes; null: no mark.
  Pass* allocate_marked(PyObject* mark) noexcept;
  // Frees a pass that is not on the list, and ends its mark. False with an exception set if the end
  // of the mark was interrupted.
  bool free(Pass* pass) {
    if (pass == &first_) {
      is_first_used_ = false;
      return true;
    }
    return free_separate(pass);
  }

  // Puts a pass on the list, as the newest.
  void add(Pass* pass) noexcept {
    if (newest_ != nullptr) {
      newest_->next = pass;
    }
    pass->previous = newest_;
    newest_ = pass;
  }
  // Takes off the list the pass that an exit of the current context ends. Null if the exit ends a
  // pass that was only counted, or if nothing is open: end_begun_off() says which.
  Pass* take(uint32_t process) {
    Pass* pass = newest_;
    if (pass == nullptr) {
      return nullptr;
    }
    if (pass->previous != nullptr || begun_off_ != 0) {
      return take_one_of_many(process);
    }
    newest_ = nullptr;
    pass->previous = pass;
    return pass;
  }
  // Takes the newest pass off the list; null if there is none.
  Pass* take_newest() noexcept;

  // Begins a pass while scopes are switched off. `recorder` is the recorder's number. False with an
  // exception set.
  bool begin_off(uint32_t process, uint64_t recorder) {
    if (newest_ != nullptr) {
      return begin_off_beside_others(process, recorder);
    }
    ++begun_off_;
    return true;
  }
  // Ends a pass that was only counted; false if there is none.
  bool end_begun_off() noexcept {
    if (begun_off_ == 0) {
      return false;
    }
    --begun_off_;
    return true;
  }

 private:
  static bool is_listed(const Pass* pass) noexcept { return pass->previous != pass; }
  Pass* allocate_separate() noexcept;
  bool free_separate(Pass* pass);
  bool begin_off_beside_others(uint32_t process, uint64_t recorder);
  Pass* take_one_of_many(uint32_t process);
  Pass* find_of_context(uint32_t process);
  void unlink(Pass* pass) noexcept;

  Pass* newest_ = nullptr;
  uint32_t begun_off_ = 0;  // passes that were only counted, all older than the list
  bool is_first_used_ = false;
  Pass first_{};
};

}  // namespace fasttime
