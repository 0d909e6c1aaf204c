#include "kernels/device_backend.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "kernels/cuda/plugin/plugin.h"

namespace troupe::kernels {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libtroupe_cuda.so";

Error unavailable(const std::string& path, const std::string& why) {
  return Error{ErrorCode::kUnavailable, fmt::format("{}: {}", path, why)};
}

}  // namespace

Status check(const Backend& backend) {
  if (backend.version != kBackendVersion || backend.size_bytes != sizeof(Backend)) {
    return Error{
        ErrorCode::kUnavailable,
        fmt::format("a backend of version {} and {} bytes, where this program has version "
                    "{} and {} bytes; build both together",
                    backend.version, backend.size_bytes, kBackendVersion, sizeof(Backend))};
  }
  // All that follows the two names are functions.
  constexpr size_t kFirst = offsetof(Backend, allocate), kSize = sizeof(void (*)());
  for (size_t at = kFirst; at < sizeof(Backend); at += kSize) {
    void (*function)() = nullptr;
    std::memcpy(&function, reinterpret_cast<const char*>(&backend) + at, kSize);
    if (function == nullptr) {
      return Error{ErrorCode::kUnavailable,
                   fmt::format("the backend {} lacks operation {} of {}", backend.name,
                               (at - kFirst) / kSize + 1, (sizeof(Backend) - kFirst) / kSize)};
    }
  }
  return ok();
}

Result<const Backend*> cuda_backend(const std::string& path) {
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return Error{ErrorCode::kUnavailable, ::dlerror()};  // It names the file.
  auto* const function =
      reinterpret_cast<cuda::PluginFunction*>(::dlsym(handle, cuda::kPluginFunction));
  if (function == nullptr) return unavailable(path, "it is no backend of Troupe's");
  const char* why = "it says nothing";
  const Backend* const backend = function(kBackendVersion, &why);
  if (backend == nullptr) return unavailable(path, why);
  if (Status whole = check(*backend); !whole) return unavailable(path, whole.error().message);
  return backend;
}

std::string cuda_library_path() {
  const char* named = std::getenv("TROUPE_CUDA_LIBRARY");
  if (named != nullptr && *named != '\0') return named;
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path installed = folder.parent_path() / "lib" / kLibrary;
  return fs::exists(installed, error) ? installed.string() : (folder / kLibrary).string();
}

std::string_view device_of(std::string_view arithmetic_id) {
  return arithmetic_id.rfind("cuda-", 0) == 0 ? "cuda" : "cpu";
}

Result<DeviceChoice> device_backend(std::string_view device, const Backend& cpu) {
  if (device != "cpu" && device != "cuda" && device != "auto") {
    return invalid_argument(
        fmt::format("\"{}\" is no device; say \"cpu\", \"cuda\" or \"auto\"", device));
  }
  DeviceChoice choice{.backend = &cpu, .note = {}};
  if (device == "cpu") return choice;
  if (auto gpu = cuda_backend(cuda_library_path())) {
    choice.backend = *gpu;
  } else if (device == "cuda") {
    return Error{
        ErrorCode::kUnavailable,
        fmt::format("there is no GPU to use ({}); \"cpu\" and \"auto\" need none, \"cuda\" "
                    "needs a GPU with NVIDIA's driver and {} of this build",
                    gpu.error().message, kLibrary)};
  } else {
    choice.note = "no GPU is used, the CPU goes on: " + gpu.error().message;
  }
  return choice;
}

}  // namespace troupe::kernels
