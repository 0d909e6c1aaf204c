#include "cluster/monitor/gpu_reader.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace troupe::cluster {
namespace {

// Of nvml.h, whose interface is stable: a function that changes gets another name ("_v2").
constexpr int kSuccess = 0;
constexpr unsigned kPeerRead = 0;  // nvmlGpuP2PCapsIndex_t
constexpr int kPeerOk = 0;         // nvmlGpuP2PStatus_t
constexpr unsigned kTextBytes = 96;
constexpr unsigned kGpusMax = 64;
constexpr double kMilliwattsPerWatt = 1e3;

struct Memory {
  unsigned long long total = 0;
  unsigned long long free = 0;
  unsigned long long used = 0;
};
struct Utilization {
  unsigned gpu = 0;  // Percent.
  unsigned memory = 0;
};

// The one GPU that a word of CUDA_VISIBLE_DEVICES means; nothing when there is none, or several.
const GpuFacts* named(const std::vector<GpuFacts>& facts, std::string_view word) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error == std::errc() && end == word.data() + word.size()) {
    return number < facts.size() ? &facts[number] : nullptr;
  }
  const GpuFacts* found = nullptr;
  for (const GpuFacts& one : facts) {
    if (one.id == word) return &one;
    if (word.empty() || one.id.rfind(word, 0) != 0) continue;
    if (found != nullptr) return nullptr;
    found = &one;
  }
  return found;
}

}  // namespace

std::vector<std::string> usable_gpus(const std::vector<GpuFacts>& facts, const char* visible) {
  std::vector<std::string> ids;
  if (visible == nullptr) {
    for (const GpuFacts& one : facts) ids.push_back(one.id);
    return ids;
  }
  std::string_view rest = visible;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const GpuFacts* const one = named(facts, rest.substr(0, comma));
    if (one == nullptr || std::find(ids.begin(), ids.end(), one->id) != ids.end()) break;
    ids.push_back(one->id);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return ids;
}

std::vector<std::string> usable_gpus() {
  const auto reader = GpuReader::open();
  if (!reader) return {};
  return usable_gpus((*reader)->facts(), std::getenv("CUDA_VISIBLE_DEVICES"));
}

struct GpuReader::Library {
  ~Library() {
    if (is_begun) shutdown();
    if (handle != nullptr) ::dlclose(handle);
  }

  template <class Function>
  bool find(Function*& function, const char* symbol) {
    function = reinterpret_cast<Function*>(::dlsym(handle, symbol));
    return function != nullptr;
  }

  bool find_all() {
    return find(init, "nvmlInit_v2") && find(shutdown, "nvmlShutdown") &&
           find(error_string, "nvmlErrorString") &&
           find(driver_version, "nvmlSystemGetDriverVersion") &&
           find(count, "nvmlDeviceGetCount_v2") && find(device, "nvmlDeviceGetHandleByIndex_v2") &&
           find(name, "nvmlDeviceGetName") && find(uuid, "nvmlDeviceGetUUID") &&
           find(capability, "nvmlDeviceGetCudaComputeCapability") &&
           find(memory, "nvmlDeviceGetMemoryInfo") &&
           find(utilization, "nvmlDeviceGetUtilizationRates") &&
           find(power, "nvmlDeviceGetPowerUsage") && find(peer, "nvmlDeviceGetP2PStatus");
  }

  Error failure(const std::string& what, int code) const {
    return {ErrorCode::kUnavailable, fmt::format("{}: {}", what, error_string(code))};
  }

  void* handle = nullptr;
  bool is_begun = false;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*device)(unsigned, void**) = nullptr;
  int (*name)(void*, char*, unsigned) = nullptr;
  int (*uuid)(void*, char*, unsigned) = nullptr;
  int (*capability)(void*, int*, int*) = nullptr;
  int (*memory)(void*, Memory*) = nullptr;
  int (*utilization)(void*, Utilization*) = nullptr;
  int (*power)(void*, unsigned*) = nullptr;
  int (*peer)(void*, void*, unsigned, int*) = nullptr;
};

GpuReader::GpuReader(std::unique_ptr<Library> library) : library_(std::move(library)) {}
GpuReader::~GpuReader() = default;

Result<std::unique_ptr<GpuReader>> GpuReader::open(const std::string& path) {
  auto library = std::make_unique<Library>();
  library->handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library->handle == nullptr) {
    return Error{ErrorCode::kUnavailable, "no driver for GPUs is installed"};
  }
  if (!library->find_all()) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("{} is older than what is needed; install a newer driver", path)};
  }
  if (const int code = library->init(); code != kSuccess) {
    return library->failure("the driver for GPUs does not answer", code);
  }
  library->is_begun = true;
  std::unique_ptr<GpuReader> reader(new GpuReader(std::move(library)));
  if (Status looked = reader->look(); !looked) return looked.error();
  return reader;
}

Status GpuReader::look() {
  const Library& nvml = *library_;
  std::array<char, kTextBytes> text{};
  if (nvml.driver_version(text.data(), kTextBytes) == kSuccess) driver_ = text.data();
  unsigned count = 0;
  if (const int code = nvml.count(&count); code != kSuccess) {
    return nvml.failure("the driver does not say how many GPUs there are", code);
  }
  for (unsigned i = 0; i < count && i < kGpusMax; ++i) {
    GpuFacts facts;
    void* device = nullptr;
    Memory memory;
    int code = nvml.device(i, &device);
    if (code == kSuccess) code = nvml.name(device, text.data(), kTextBytes);
    facts.name = text.data();
    if (code == kSuccess) code = nvml.uuid(device, text.data(), kTextBytes);
    facts.id = text.data();
    if (code == kSuccess) code = nvml.capability(device, &facts.major, &facts.minor);
    if (code == kSuccess) code = nvml.memory(device, &memory);
    if (code != kSuccess) return nvml.failure(fmt::format("GPU {} does not answer", i), code);
    facts.memory_bytes = memory.total;
    facts_.push_back(std::move(facts));
    devices_.push_back(device);
  }
  for (size_t i = 0; i < devices_.size(); ++i) {
    for (size_t j = 0; j < devices_.size(); ++j) {
      int status = kPeerOk;
      const bool can =
          i == j || (nvml.peer(devices_[i], devices_[j], kPeerRead, &status) == kSuccess &&
                     status == kPeerOk);
      facts_[i].peers.push_back(can);
    }
  }
  return ok();
}

std::vector<GpuReading> GpuReader::read() const {
  std::vector<GpuReading> readings;
  for (void* device : devices_) {
    GpuReading one;
    Memory memory;
    Utilization utilization;
    unsigned milliwatts = 0;
    // A GPU that is lost fails here; the rest is not told by every kind.
    if (const int code = library_->memory(device, &memory); code != kSuccess) {
      one.failure = library_->error_string(code);
      readings.push_back(std::move(one));
      continue;
    }
    one.memory_used_bytes = static_cast<double>(memory.used);
    if (library_->utilization(device, &utilization) == kSuccess) one.busy = utilization.gpu / 1e2;
    if (library_->power(device, &milliwatts) == kSuccess) {
      one.watts = milliwatts / kMilliwattsPerWatt;
    }
    readings.push_back(std::move(one));
  }
  return readings;
}

}  // namespace troupe::cluster
