// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/recorder.h"
#include "python/context_stack.h"

namespace fasttime {

// Who is inside of a scope object: it may be entered again while it is open, also by other threads
// and tasks, and switched off and on meanwhile. Everything here needs the GIL.

// One entering.
struct Entering {
  OpenScope open;
  ContextStack* stack;  // where its entry is; owned
  Entering* previous;   // of the same scope object
};

struct Enterings {
  Entering* last = nullptr;  // the newest of those that are told apart
  // How many only are counted. All of these are older than `last`.
  uint32_t entered_while_off = 0;
  bool inline_in_use = false;
  Entering inline_entering;
};

// A new one, not in the list; null with an exception set. The first takes no memory. Those that
// leave a mark are always separate, so that the others need not ask.
inline Entering* new_entering(Enterings& all);
Entering* new_separate_entering();
// Takes the reference; null: none.
void set_mark(Entering* separate, PyObject* mark) noexcept;
// False with an exception set where the end of its mark was interrupted.
inline bool free_entering(Enterings& all, Entering* entering);

// Puts it in the list.
inline void add_entering(Enterings& all, Entering* entering) noexcept;
// Counts one that enters while scopes are off; false with an exception set. Beside others, which
// are inside from before, it is known by its context as they are, or an exit could not tell.
inline bool enter_off(Enterings& all, const Recorder& recorder);

// The entering that an exit belongs to, no longer in the list. Where several are inside, that is
// one of the context that exits; where that has none, one that only is counted, or the newest. Null
// where it only is counted, or there is none: leave_counted() says which, and takes one off.
inline Entering* take_entering(Enterings& all, const Recorder& recorder);
bool leave_counted(Enterings& all) noexcept;

// --- what is above, but for the rare cases, is read in line ---

[[gnu::cold]] bool free_separate_entering(Entering* entering);
[[gnu::cold]] bool enter_off_beside_others(Enterings& all, const Recorder& recorder);
Entering** find_entering(Enterings& all, const Recorder& recorder);

inline Entering* new_entering(Enterings& all) {
  if (!all.inline_in_use) {
    all.inline_in_use = true;
    return &all.inline_entering;
  }
  return new_separate_entering();
}

inline bool free_entering(Enterings& all, Entering* entering) {
  if (entering == &all.inline_entering) {
    all.inline_in_use = false;
    return true;
  }
  return free_separate_entering(entering);
}

inline void add_entering(Enterings& all, Entering* entering) noexcept {
  entering->previous = all.last;
  all.last = entering;
}

inline bool enter_off(Enterings& all, const Recorder& recorder) {
  if (all.last != nullptr) {
    return enter_off_beside_others(all, recorder);
  }
  ++all.entered_while_off;
  return true;
}

inline Entering* take_entering(Enterings& all, const Recorder& recorder) {
  if (all.last == nullptr) {
    return nullptr;
  }
  const bool is_alone = all.last->previous == nullptr && all.entered_while_off == 0;
  Entering** link = is_alone ? &all.last : find_entering(all, recorder);
  Entering* entering = *link;
  if (entering != nullptr) {
    *link = entering->previous;
  }
  return entering;
}

}  // namespace fasttime
