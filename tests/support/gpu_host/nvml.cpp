// A host with GPUs as far as their driver's library tells, for a machine without one. What it has
// is in the environment:
//   TROUPE_TEST_GPUS=2        how many
//   TROUPE_TEST_GPU_LOST=1    one that has fallen off its bus after the first look
//   TROUPE_TEST_NO_DRIVER=1   the library is there, the driver is not
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kDriverNotLoaded = 9;
constexpr int kGpuIsLost = 15;

unsigned number(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<unsigned>(std::atoi(text));
}

unsigned index_of(void* device) {
  return static_cast<unsigned>(reinterpret_cast<size_t>(device)) - 1;
}

int say(char* to, unsigned size, const char* text) {
  std::snprintf(to, size, "%s", text);
  return kSuccess;
}

bool g_is_looked_at = false;

}  // namespace

extern "C" {

struct Memory {
  unsigned long long total, free, used;
};
struct Utilization {
  unsigned gpu, memory;
};

int nvmlInit_v2() { return number("TROUPE_TEST_NO_DRIVER", 0) != 0 ? kDriverNotLoaded : kSuccess; }
int nvmlShutdown() { return kSuccess; }
const char* nvmlErrorString(int code) {
  switch (code) {
    case kDriverNotLoaded:
      return "Driver Not Loaded";
    case kGpuIsLost:
      return "GPU is lost";
    case kNotSupported:
      return "Not Supported";
    default:
      return "Success";
  }
}
int nvmlSystemGetDriverVersion(char* to, unsigned size) { return say(to, size, "580.65.06"); }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = number("TROUPE_TEST_GPUS", 0);
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = reinterpret_cast<void*>(size_t{index} + 1);
  return kSuccess;
}
int nvmlDeviceGetName(void*, char* to, unsigned size) { return say(to, size, "NVIDIA H800"); }
int nvmlDeviceGetUUID(void* device, char* to, unsigned size) {
  std::snprintf(to, size, "GPU-%u", index_of(device));
  return kSuccess;
}
int nvmlDeviceGetCudaComputeCapability(void*, int* major, int* minor) {
  *major = 9;
  *minor = 0;
  return kSuccess;
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  if (g_is_looked_at && number("TROUPE_TEST_GPU_LOST", ~0u) == index_of(device)) return kGpuIsLost;
  *memory = {80ull << 30, 78ull << 30, 2ull << 30};
  if (index_of(device) + 1 == number("TROUPE_TEST_GPUS", 0)) g_is_looked_at = true;
  return kSuccess;
}
int nvmlDeviceGetUtilizationRates(void* device, Utilization* rates) {
  *rates = {25 + index_of(device), 0};
  return kSuccess;
}
// The second kind of GPU does not tell.
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (index_of(device) % 2 == 1) return kNotSupported;
  *milliwatts = 350'500;
  return kSuccess;
}
// In pairs.
int nvmlDeviceGetP2PStatus(void* a, void* b, unsigned, int* status) {
  *status = index_of(a) / 2 == index_of(b) / 2 ? 0 : 1;
  return kSuccess;
}

}  // extern "C"
