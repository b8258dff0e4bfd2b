// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace fasttime {

// Where the entries of the runtime table are looked up. Each handle comes from dlopen; it is null
// if the library is not loaded.
struct SymbolSource {
  void* cuda_library = nullptr;
  void* torch_library = nullptr;
  void* driver_library = nullptr;
  bool global_first = false;

  void* cuda(const char* name) const;
  void* torch(const char* name) const;
  void* driver(const char* name) const;
};

// The libraries that torch has loaded, searched in the order in which torch's own calls are
// resolved: the global scope, then libc10_cuda and its dependencies. Loads nothing. On failure
// `why` says what is missing and what to do.
SymbolSource torch_symbols(std::string& why);

// All symbols from one library. Throws std::runtime_error if it cannot be loaded.
SymbolSource library_symbols(const std::string& path);

}  // namespace fasttime
