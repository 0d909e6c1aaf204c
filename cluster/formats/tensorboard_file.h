// A run as TensorBoard reads it: scalars, texts and hyper-parameters, in an event file.
//
// The format: records of [length u64][masked CRC-32C of it u32][event][masked CRC-32C of that u32],
// little-endian; an event is a protobuf message (tensorflow/core/util/event.proto), of which the
// few fields that are needed are written here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::cluster {

// CRC-32C (Castagnoli) of some bytes, as RFC 3720 has it.
uint32_t crc32c(std::string_view bytes);

// Values that are numbers stay numbers, all else is text.
struct HyperParameter {
  std::string name{};
  std::optional<double> number{};
  std::string text{};
};

class TensorBoardFile {
 public:
  // A new file in `folder`, which is made. Times are seconds since 1970. What another file of the
  // folder has from `first_step` on is no part of the history any more.
  TensorBoardFile(const std::string& folder, double time, int64_t first_step);

  // Files are for people: where the disk does not take an event, there is one less.
  bool is_open() const { return file_ != nullptr; }
  void add_scalars(int64_t step, double time,
                   std::span<const std::pair<std::string, double>> values);
  // Shown as Markdown.
  void add_text(int64_t step, double time, const std::string& tag, const std::string& text);
  void add_hyper_parameters(double time, const std::string& name,
                            std::span<const HyperParameter> values);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void add(const std::string& event);

  std::unique_ptr<std::FILE, Close> file_{};
};

}  // namespace troupe::cluster
