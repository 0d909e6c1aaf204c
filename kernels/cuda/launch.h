// The only way kernels are started, on a GPU or on a host machine.
//
//   launch(kernel, grid, block, shared_bytes, stream, args...)
//
// Arguments are converted to the kernel's parameters and copied; a kernel may take the structs of
// the operations' headers as they are. Work of one stream goes in order. Throws DeviceError where
// the device refuses the launch; what goes wrong later is found by whoever waits for the stream.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include <tuple>

#include "kernels/cuda/host.h"
#endif

namespace troupe::kernels::cuda {

// The device failed, or refused what was asked: never an outcome of the work itself.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A cudaStream_t. A host machine runs each launch at once and looks at none.
using StreamHandle = void*;

#if defined(__CUDACC__)

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, StreamHandle stream,
            const A&... args) {
  const auto require = [](cudaError_t error) {
    if (error != cudaSuccess) {
      throw DeviceError(std::string("a kernel could not be started: ") + cudaGetErrorString(error));
    }
  };
  // More than this is given only to who asks for it.
  if (shared_bytes > 48 * 1024) {
    require(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes)));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  require(cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...));
}

#else

template <class... P, class... A>
void launch(void (*kernel)(P...), Extent grid, Extent block, size_t shared_bytes, StreamHandle,
            const A&... args) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<P...> values;
  };
  const Call call{kernel, std::tuple<P...>(static_cast<P>(args)...)};
  std::apply(
      [&](const P&... values) {
        const host::Argument arguments[] = {{&values, sizeof values}..., {nullptr, 0}};
        host::Launch what{reinterpret_cast<const void*>(kernel),
                          grid,
                          block,
                          shared_bytes,
                          arguments,
                          sizeof...(P),
                          nullptr,
                          &call};
        what.body = [](const void* context) {
          const Call& inside = *static_cast<const Call*>(context);
          std::apply(inside.kernel, inside.values);
        };
        host::run(what);
      },
      call.values);
}

#endif

}  // namespace troupe::kernels::cuda
