// SPDX-License-Identifier: BSD-3-Clause
// The yardstick of scope_overhead.py: what timing a section costs at the least. Torch's current
// stream is looked up and an event recorded on it, twice, and nothing else is done. Compiled on
// demand; everything is found at run time among the libraries that torch has loaded, so that no
// CUDA header is needed.

#include <dlfcn.h>

#include <cstdint>
#include <vector>

namespace {

using Event = void*;
using Stream = void*;

// torch's C shim returns int32_t, the CUDA runtime an enum of the size of an int; 0 is success.
int32_t (*current_stream)(int32_t device, Stream* stream);
int (*event_create)(Event* event);
int (*event_record)(Event event, Stream stream);

std::vector<Event> events;

void* open_loaded(const char* library) { return dlopen(library, RTLD_NOLOAD | RTLD_LAZY); }

// In the order in which torch's own calls are resolved.
void* find_in_runtime(const char* name) {
  if (void* found = dlsym(RTLD_DEFAULT, name)) return found;
  void* library = open_loaded("libc10_cuda.so");
  return library ? dlsym(library, name) : nullptr;
}

}  // namespace

extern "C" {

// Finds the functions and makes the events of `pairs` pairs on the current device. CUDA must have
// been initialised by torch. Returns what is missing, or null.
const char* raw_pair_prepare(int pairs) {
  void* torch_cuda = open_loaded("libtorch_cuda.so");
  if (!torch_cuda) return "libtorch_cuda.so is not loaded";
  current_stream = reinterpret_cast<decltype(current_stream)>(
      dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream"));
  event_create = reinterpret_cast<decltype(event_create)>(find_in_runtime("cudaEventCreate"));
  event_record = reinterpret_cast<decltype(event_record)>(find_in_runtime("cudaEventRecord"));
  if (!current_stream) return "aoti_torch_get_current_cuda_stream is not in this torch";
  if (!event_create || !event_record) return "the CUDA runtime is not loaded";
  while (events.size() < 2u * static_cast<unsigned>(pairs)) {
    Event event;
    if (event_create(&event) != 0) return "cudaEventCreate failed";
    events.push_back(event);
  }
  return nullptr;
}

// Records `pairs` pairs on the current stream of `device`; the pairs must have been prepared.
// Returns how many calls failed.
int raw_pair_run(int device, int pairs) {
  int failed = 0;
  for (int i = 0; i < 2 * pairs; ++i) {
    Stream stream;
    failed += current_stream(device, &stream) != 0;
    failed += event_record(events[static_cast<unsigned>(i)], stream) != 0;
  }
  return failed;
}
}
