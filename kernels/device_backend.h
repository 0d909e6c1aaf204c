// The choice of a device: the CPU, or a GPU by way of a plugin. The program itself is linked with
// nothing of CUDA.
#pragma once

#include <string>
#include <string_view>

#include "kernels/backend.h"
#include "schemas/result.h"

namespace troupe::kernels {

// Whether a table can be used: of this version and size, and no function missing.
Status check(const Backend& backend);

// The plugin's table; the library stays open for good. kUnavailable, one line, where the file is
// not there or no library, where there is no driver or GPU, or what check() says.
Result<const Backend*> cuda_backend(const std::string& path);

// libtroupe_cuda.so beside this program, or in lib beside its folder; what the environment variable
// TROUPE_CUDA_LIBRARY names goes before both.
std::string cuda_library_path();

struct DeviceChoice {
  const Backend* backend = nullptr;
  std::string note{};  // Why it is the CPU where a GPU would have been taken; one line.
};

// The device whose arithmetic this is: "cpu" or "cuda".
std::string_view device_of(std::string_view arithmetic_id);

// `device` is "cpu"; "cuda"; or "auto", a GPU where there is one, else `cpu` with a note. Without a
// GPU "cuda" is kUnavailable, with what to do. kInvalidArgument for another word.
Result<DeviceChoice> device_backend(std::string_view device, const Backend& cpu);

}  // namespace troupe::kernels
