// SPDX-License-Identifier: BSD-3-Clause
#include "cuda/symbols.h"

#include <stdexcept>

#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace fasttime {

#if defined(__linux__)

namespace {

void* loaded(const char* soname) { return dlopen(soname, RTLD_NOLOAD | RTLD_LAZY); }

}  // namespace

void* SymbolSource::cuda(const char* name) const {
  if (global_first) {
    if (void* symbol = dlsym(RTLD_DEFAULT, name)) {
      return symbol;
    }
  }
  return dlsym(cuda_library, name);
}

// Not from the global scope: torch loads its libraries locally, so a symbol of this name in the
// global scope would belong to another library.
void* SymbolSource::torch(const char* name) const { return dlsym(torch_library, name); }

void* SymbolSource::driver(const char* name) const {
  return driver_library == nullptr ? nullptr : dlsym(driver_library, name);
}

SymbolSource torch_symbols(std::string& why) {
  SymbolSource source;
  source.global_first = true;
  source.cuda_library = loaded("libc10_cuda.so");
  source.torch_library = loaded("libtorch_cuda.so");
  source.driver_library = loaded("libcuda.so.1");
  if (loaded("libc10_hip.so") != nullptr) {
    why = "this torch was built for ROCm, and fasttime times NVIDIA GPUs only";
  } else if (source.cuda_library == nullptr || source.torch_library == nullptr) {
    why =
        "this torch was built without CUDA; install a CUDA build of torch to time a GPU "
        "(https://pytorch.org/get-started)";
  }
  return source;
}

SymbolSource library_symbols(const std::string& path) {
  SymbolSource source;
  source.cuda_library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (source.cuda_library == nullptr) {
    throw std::runtime_error(dlerror());
  }
  source.torch_library = source.cuda_library;
  source.driver_library = source.cuda_library;
  return source;
}

#else

void* SymbolSource::cuda(const char*) const { return nullptr; }
void* SymbolSource::torch(const char*) const { return nullptr; }
void* SymbolSource::driver(const char*) const { return nullptr; }

SymbolSource torch_symbols(std::string& why) {
  why = "fasttime times GPUs on Linux only; on this platform it reports host time";
  return {};
}

SymbolSource library_symbols(const std::string&) {
  throw std::runtime_error("only Linux can bind a CUDA runtime");
}

#endif

}  // namespace fasttime
