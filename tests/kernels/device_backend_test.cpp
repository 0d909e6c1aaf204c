// Which device a program takes, and what it says where there is no GPU.
#include "kernels/device_backend.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "kernels/cpu/cpu_backend.h"

namespace troupe::kernels {
namespace {

class Library {
 public:
  explicit Library(const std::string& path) { ::setenv(kVariable, path.c_str(), 1); }
  ~Library() { ::unsetenv(kVariable); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

 private:
  static constexpr const char* kVariable = "TROUPE_CUDA_LIBRARY";
};

const Backend& cpu() { return **cpu_backend(); }

TEST_CASE("device backend: a table is whole, of this version and of this size") {
  for (const Backend* backend : cpu_backends()) CHECK(check(*backend));
  Backend other = cpu();
  other.version = kBackendVersion + 1;
  CHECK_FALSE(check(other));
  other = cpu();
  other.size_bytes -= 8;
  CHECK_FALSE(check(other));
  other = cpu();
  other.adamw = nullptr;
  REQUIRE_FALSE(check(other));
  CHECK(check(other).error().message.find("lacks operation") != std::string::npos);
  other = cpu();
  other.allocate = nullptr;
  CHECK(check(other).error().message.find("lacks operation 1 of") != std::string::npos);
}

TEST_CASE("device backend: without a GPU auto is the CPU, and cuda is refused with what to do") {
  const Library nowhere("/nowhere/libtroupe_cuda.so");
  const auto plain = device_backend("cpu", cpu());
  REQUIRE(plain);
  CHECK(plain->backend == &cpu());
  CHECK(plain->note.empty());
  const auto automatic = device_backend("auto", cpu());
  REQUIRE(automatic);
  CHECK(automatic->backend == &cpu());
  CHECK(automatic->note.find("/nowhere/libtroupe_cuda.so") != std::string::npos);
  CHECK(automatic->note.find('\n') == std::string::npos);
  const auto asked = device_backend("cuda", cpu());
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code == ErrorCode::kUnavailable);
  CHECK(asked.error().message.find("/nowhere/libtroupe_cuda.so") != std::string::npos);
  CHECK(asked.error().message.find("NVIDIA's driver") != std::string::npos);
  CHECK(asked.error().message.find('\n') == std::string::npos);
}

TEST_CASE("device backend: an arithmetic is of one device") {
  CHECK(device_of("cpu-1") == "cpu");
  CHECK(device_of("cuda-sm80-1") == "cuda");
  CHECK(device_of("cuda-sm90-1") == "cuda");
  CHECK(device_of("") == "cpu");
}

TEST_CASE("device backend: a word that is no device is refused with those that are") {
  for (const char* word : {"gpu", "cuda-emulated", ""}) {
    CAPTURE(word);
    const auto refused = device_backend(word, cpu());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kInvalidArgument);
    CHECK(refused.error().message.find("\"cpu\", \"cuda\" or \"auto\"") != std::string::npos);
  }
}

TEST_CASE("device backend: a library of somebody else's is none") {
  const auto other = cuda_backend("libm.so.6");
  REQUIRE_FALSE(other);
  CHECK(other.error().message.find("no backend of Troupe's") != std::string::npos);
}

#ifdef TROUPE_CUDA_PLUGIN
// With a GPU this is a backend, without one a reason.
TEST_CASE("device backend: the library that was built is opened, and says what it finds") {
  const auto opened = cuda_backend(TROUPE_CUDA_PLUGIN);
  if (opened) {
    CHECK(std::string((*opened)->arithmetic_id).rfind("cuda-sm", 0) == 0);
    return;
  }
  MESSAGE(opened.error().message);
  CHECK(opened.error().code == ErrorCode::kUnavailable);
  CHECK(opened.error().message.find("no backend of Troupe's") == std::string::npos);
  CHECK(opened.error().message.find('\n') == std::string::npos);
  CHECK(opened.error().message.find("GPU") != std::string::npos);
}
#endif

}  // namespace
}  // namespace troupe::kernels
