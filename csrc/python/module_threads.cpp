// SPDX-License-Identifier: BSD-3-Clause
// The threads of a handle, and the calls that nodes refer to.
#include <new>

#include "host/thread_number.h"
#include "python/autograd_access.h"
#include "python/module_hooks.h"

namespace fasttime {
namespace {

constexpr size_t kMaxThreads = 256;

bool is_idle(const ThreadState& state) noexcept {
  return state.frame_count == 0 && state.visit_count == 0 && !state.is_busy &&
         !state.has_creation_hook;
}

// A state for a new thread: an unused one, or the one of the thread that was here longest ago. A
// thread that comes back gets another one.
ThreadState* state_for(ModuleHooks* hooks, uint64_t thread) {
  ThreadState* found = nullptr;
  if (hooks->threads.size() < kMaxThreads) {
    try {
      hooks->threads.push_back(std::make_unique<ThreadState>());
      found = hooks->threads.back().get();
    } catch (const std::bad_alloc&) {
    }
  } else {
    for (auto& state : hooks->threads) {
      if (is_idle(*state) && (found == nullptr || state->used < found->used)) {
        found = state.get();
      }
    }
  }
  if (found != nullptr) {
    found->thread = thread;
    found->process = hooks->recorder->process();
    found->meeting = Meeting{};
    Py_CLEAR(found->passed);
  }
  return found;
}

// In the child of a fork: what was open belongs to the parent process.
[[gnu::cold]] void forget_parent(ModuleHooks* hooks, ThreadState* thread) {
  abandon_frames(hooks, thread, 0);
  abandon_visits(hooks, thread, 0);
  thread->chains.clear();
  thread->meeting = Meeting{};
  Py_CLEAR(thread->passed);
  thread->process = hooks->recorder->process();
}

}  // namespace

uint64_t this_thread() noexcept {
  static thread_local uint64_t number = 0;
  if (number == 0) {
    number = thread_number();
  }
  return number;
}

ThreadState* find_thread(const ModuleHooks* hooks) noexcept {
  const uint64_t thread = this_thread();
  for (const auto& state : hooks->threads) {
    if (state->thread == thread) {
      return state.get();
    }
  }
  return nullptr;
}

[[gnu::hot]] ThreadState* enter_thread(ModuleHooks* hooks) {
  ThreadState* found = find_thread(hooks);
  if (found == nullptr) {
    found = state_for(hooks, this_thread());
  }
  if (found == nullptr || found->is_busy) {
    ++hooks->refused;
    return nullptr;
  }
  if (found->process != hooks->recorder->process()) {
    forget_parent(hooks, found);
  }
  found->used = ++hooks->uses;
  return found;
}

void leave_thread(ModuleHooks* hooks, ThreadState* thread) {
  thread->is_busy = false;
  if (hooks->is_closed) {
    close_thread(hooks, thread);
  }
}

[[gnu::cold]] void close_thread(ModuleHooks* hooks, ThreadState* thread) {
  abandon_frames(hooks, thread, 0);
  abandon_visits(hooks, thread, 0);
  pop_creation_hook(thread);
  Py_CLEAR(thread->new_node);
  Py_CLEAR(thread->passed);
}

void pop_creation_hook(ThreadState* thread) {
  if (!thread->has_creation_hook || thread->thread != this_thread()) {
    return;
  }
  thread->has_creation_hook = false;
  PyObject* done = PyObject_CallNoArgs(autograd.pop_creation_hook);
  Py_XDECREF(done);
  PyErr_Clear();
}

uint16_t chain_of(ModuleHooks* hooks, ThreadState* thread, Lane* lane, bool is_backward) {
  for (const auto& chain : thread->chains) {
    if (chain.lane == lane && chain.is_backward == is_backward) {
      return chain.number;
    }
  }
  HandleSeries* const series = hooks->recorder->handle_series();
  const uint16_t number = series == nullptr ? 0 : series->modules.new_chain();
  try {
    thread->chains.push_back({lane, is_backward, number});
  } catch (const std::bad_alloc&) {
    return 0;
  }
  return number;
}

Instance* instance_of(ModuleHooks* hooks, ThreadState* thread, size_t frame) {
  Instance* parent = nullptr;
  for (size_t i = 0; i <= frame; ++i) {
    Frame& at = thread->frames[i];
    if (at.instance == nullptr) {
      Instance* made = hooks->free_instances;
      if (made != nullptr) {
        hooks->free_instances = made->parent;
      } else {
        made = new (std::nothrow) Instance;
        if (made == nullptr) {
          return nullptr;
        }
      }
      if (i == 0 && at.is_recompute && thread->visit_count != 0) {
        // The call that called the checkpoint.
        parent = thread->visits[thread->visit_count - 1].instance;
      }
      if (parent != nullptr) {
        ++parent->references;
      }
      const auto depth = static_cast<uint16_t>(parent == nullptr ? 0 : parent->depth + 1);
      *made = {1, at.module, parent, thread, hooks->births, depth};
      at.instance = made;
    }
    parent = at.instance;
  }
  ++parent->references;
  return parent;
}

void drop_instance(ModuleHooks* hooks, Instance* instance) noexcept {
  while (instance != nullptr && --instance->references == 0) {
    Instance* const parent = instance->parent;
    instance->parent = hooks->free_instances;
    hooks->free_instances = instance;
    instance = parent;
  }
}

void abandon_frames(ModuleHooks* hooks, ThreadState* thread, size_t count) {
  while (thread->frame_count > count) {
    Frame& frame = thread->frames[--thread->frame_count];
    hooks->recorder->abandon(frame.open);
    drop_instance(hooks, frame.instance);
    frame.instance = nullptr;
  }
}

void abandon_visits(ModuleHooks* hooks, ThreadState* thread, size_t count) {
  while (thread->visit_count > count) {
    Visit& visit = thread->visits[--thread->visit_count];
    hooks->recorder->abandon(visit.open);
    drop_instance(hooks, visit.instance);
    visit.instance = nullptr;
  }
}

}  // namespace fasttime
