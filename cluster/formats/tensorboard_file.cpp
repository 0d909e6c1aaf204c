#include "cluster/formats/tensorboard_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <system_error>

namespace troupe::cluster {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // Castagnoli's, reflected.
constexpr uint32_t kMask = 0xA282EAD8;        // Added to a turned CRC, so that CRCs can be checked.

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

uint32_t masked(uint32_t crc) { return std::rotr(crc, 15) + kMask; }

template <class Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(number); ++i) {
    bytes += static_cast<char>(static_cast<unsigned char>(number >> (8 * i)));
  }
  return bytes;
}

// A protobuf message as it is written: fields one after another.
class Message {
 public:
  Message& number(uint32_t field, uint64_t value) {
    key(field, 0);
    varint(value);
    return *this;
  }
  Message& real(uint32_t field, double value) {
    key(field, 1);
    bytes_ += little_endian(std::bit_cast<uint64_t>(value));
    return *this;
  }
  Message& real(uint32_t field, float value) {
    key(field, 5);
    bytes_ += little_endian(std::bit_cast<uint32_t>(value));
    return *this;
  }
  Message& text(uint32_t field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(uint32_t field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void key(uint32_t field, uint32_t wire_type) { varint(field << 3 | wire_type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_{};
};

// Fields of Event, Summary.Value, SummaryMetadata, TensorProto and of the plugin for
// hyper-parameters, by their numbers in TensorFlow's and TensorBoard's .proto files.
namespace event {
constexpr uint32_t kTime = 1, kStep = 2, kVersion = 3, kSummary = 5, kSession = 7;
}
namespace value {
constexpr uint32_t kTag = 1, kSimple = 2, kTensor = 8, kMetadata = 9;
}
namespace tensor {
constexpr uint32_t kType = 1, kShape = 2, kText = 8;
constexpr uint64_t kFloat = 1, kString = 7;
}  // namespace tensor
constexpr uint32_t kPlugin = 1, kPluginName = 1, kPluginContent = 2;
constexpr uint32_t kDimension = 2, kSize = 1;
constexpr uint64_t kSessionStarts = 1;
constexpr uint32_t kSummaryValue = 1;

Message begin(double time, int64_t step) {
  Message one;
  one.real(event::kTime, time).number(event::kStep, static_cast<uint64_t>(step));
  return one;
}

Message shape(uint64_t size) {
  return Message().message(kDimension, Message().number(kSize, size));
}

Message of_plugin(std::string_view name, std::string_view content) {
  return Message().message(kPlugin,
                           Message().text(kPluginName, name).text(kPluginContent, content));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return ~crc;
}

TensorBoardFile::TensorBoardFile(const std::string& folder, double time, int64_t first_step) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  // Files are read in the order of their names.
  file_.reset(std::fopen(fmt::format("{}/events.out.tfevents.{:010}.troupe.{:07}", folder,
                                     static_cast<int64_t>(time), ::getpid())
                             .c_str(),
                         "a"));
  add(Message().real(event::kTime, time).text(event::kVersion, "brain.Event:2").bytes());
  add(begin(time, first_step)
          .message(event::kSession, Message().number(1, kSessionStarts))
          .bytes());
}

void TensorBoardFile::add(const std::string& event) {
  if (!file_) return;
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  const std::string record =
      length + little_endian(masked(crc32c(length))) + event + little_endian(masked(crc32c(event)));
  // At once: who looks on wants to see it, and a kill must not take it.
  std::fwrite(record.data(), 1, record.size(), file_.get());
  std::fflush(file_.get());
}

void TensorBoardFile::add_scalars(int64_t step, double time,
                                  std::span<const std::pair<std::string, double>> values) {
  Message summary;
  for (const auto& [name, number] : values) {
    summary.message(
        kSummaryValue,
        Message().text(value::kTag, name).real(value::kSimple, static_cast<float>(number)));
  }
  add(begin(time, step).message(event::kSummary, summary).bytes());
}

void TensorBoardFile::add_text(int64_t step, double time, const std::string& tag,
                               const std::string& text) {
  const Message content = Message()
                              .number(tensor::kType, tensor::kString)
                              .message(tensor::kShape, shape(1))
                              .text(tensor::kText, text);
  const Message one = Message()
                          .text(value::kTag, tag)
                          .message(value::kTensor, content)
                          .message(value::kMetadata, of_plugin("text", ""));
  add(begin(time, step).message(event::kSummary, Message().message(kSummaryValue, one)).bytes());
}

void TensorBoardFile::add_hyper_parameters(double time, const std::string& name,
                                           std::span<const HyperParameter> values) {
  // SessionStartInfo: a map of names to google.protobuf.Value.
  constexpr uint32_t kParameters = 1, kGroup = 4, kStart = 5;
  constexpr uint32_t kKey = 1, kValue = 2, kNumber = 2, kText = 3;
  constexpr uint32_t kSessionStart = 3;
  Message start;
  for (const HyperParameter& one : values) {
    Message of_one;
    if (one.number) {
      of_one.real(kNumber, *one.number);
    } else {
      of_one.text(kText, one.text);
    }
    start.message(kParameters, Message().text(kKey, one.name).message(kValue, of_one));
  }
  start.text(kGroup, name).real(kStart, time);
  const Message data = Message().number(1, 0).message(kSessionStart, start);
  const Message one =
      Message()
          .text(value::kTag, "_hparams_/session_start_info")
          .message(
              value::kTensor,
              Message().number(tensor::kType, tensor::kFloat).message(tensor::kShape, shape(0)))
          .message(value::kMetadata, of_plugin("hparams", data.bytes()));
  add(begin(time, 0).message(event::kSummary, Message().message(kSummaryValue, one)).bytes());
}

}  // namespace troupe::cluster
