// The GPUs of this host as their driver's own library, NVML, sees them. It is opened at run time:
// the program needs neither the library nor its headers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

struct GpuFacts {
  std::string name{};  // "NVIDIA H800"
  std::string id{};    // The driver's own, which no other has.
  int major = 0;       // Compute capability.
  int minor = 0;
  uint64_t memory_bytes = 0;
  // Whether each GPU, by number, can read this one's memory; itself: true.
  std::vector<bool> peers{};
};

// How a GPU is now. What its driver does not tell is negative.
struct GpuReading {
  double busy = -1;  // Share of the time in the driver's last sample.
  double memory_used_bytes = -1;
  double watts = -1;
  std::string failure{};  // Empty, or why nothing can be said of it: it may be lost.
};

// The GPUs that this process may use, by their ids, in the order of their numbers; none without a
// driver. `visible` is what CUDA_VISIBLE_DEVICES says, null where it is not set: numbers or ids,
// cut off as long as they are unambiguous, up to the first that is no GPU's.
std::vector<std::string> usable_gpus(const std::vector<GpuFacts>& facts, const char* visible);
std::vector<std::string> usable_gpus();

class GpuReader {
 public:
  // kUnavailable with why there are none to be read: no driver, or one that does not answer.
  static Result<std::unique_ptr<GpuReader>> open(const std::string& library = "libnvidia-ml.so.1");
  ~GpuReader();
  GpuReader(const GpuReader&) = delete;
  GpuReader& operator=(const GpuReader&) = delete;

  const std::string& driver() const { return driver_; }  // Its version.
  // In the order of their numbers.
  const std::vector<GpuFacts>& facts() const { return facts_; }
  std::vector<GpuReading> read() const;

 private:
  struct Library;
  explicit GpuReader(std::unique_ptr<Library> library);
  Status look();

  std::unique_ptr<Library> library_;
  std::string driver_{};
  std::vector<GpuFacts> facts_{};
  std::vector<void*> devices_{};
};

}  // namespace troupe::cluster
