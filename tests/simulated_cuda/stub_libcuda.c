// SPDX-License-Identifier: BSD-3-Clause
// A libcuda.so.1 that lets a CUDA build of torch load on a machine without a driver. torch's
// libcaffe2_nvrtc needs these symbols; the functions here only return "not supported". The
// simulated driver functions are in the simulated runtime. This library depends on it, so a look-up
// in libcuda finds them. This library also replaces libnvidia-ml.so.1, because a real NVML would
// count the machine's real devices.

#define NOT_SUPPORTED(name) \
  int name(void) { return 801; }

NOT_SUPPORTED(cuCtxGetCurrent)
NOT_SUPPORTED(cuCtxSetCurrent)
NOT_SUPPORTED(cuDeviceGet)
NOT_SUPPORTED(cuDeviceGetAttribute)
NOT_SUPPORTED(cuFuncGetAttribute)
NOT_SUPPORTED(cuFuncSetAttribute)
NOT_SUPPORTED(cuFuncSetCacheConfig)
NOT_SUPPORTED(cuGetErrorString)
NOT_SUPPORTED(cuLaunchCooperativeKernel)
NOT_SUPPORTED(cuLinkAddData_v2)
NOT_SUPPORTED(cuLinkComplete)
NOT_SUPPORTED(cuLinkCreate_v2)
NOT_SUPPORTED(cuModuleLoad)
NOT_SUPPORTED(cuModuleLoadDataEx)
NOT_SUPPORTED(cuModuleUnload)
NOT_SUPPORTED(cuOccupancyMaxActiveBlocksPerMultiprocessor)
NOT_SUPPORTED(cuPointerGetAttribute)
NOT_SUPPORTED(cuTensorMapEncodeTiled)
