#include "actors/replay/record_bytes.h"

#include <fmt/format.h>

namespace troupe::actors {
namespace {

constexpr uint16_t kValueVersion = 1;
constexpr size_t kHeaderBytes = 18;

void append_big(std::string& to, uint64_t x, int num_bytes) {
  for (int i = num_bytes - 1; i >= 0; --i) to.push_back(static_cast<char>(x >> (8 * i)));
}
uint64_t read_big(std::string_view from) {
  uint64_t x = 0;
  for (const char c : from) x = x << 8 | static_cast<unsigned char>(c);
  return x;
}

void append_little(std::string& to, uint64_t x, int num_bytes) {
  for (int i = 0; i < num_bytes; ++i) to.push_back(static_cast<char>(x >> (8 * i)));
}
uint64_t read_little(std::string_view from) {
  uint64_t x = 0;
  for (size_t i = from.size(); i-- > 0;) x = x << 8 | static_cast<unsigned char>(from[i]);
  return x;
}

}  // namespace

std::string key_bytes(const RecordKey& key) {
  std::string bytes;
  bytes.reserve(kKeyBytes);
  append_big(bytes, key.job, 8);
  append_big(bytes, static_cast<uint64_t>(key.kind), 1);
  append_big(bytes, key.number, 8);
  append_big(bytes, key.ordinal, 4);
  return bytes;
}

std::optional<RecordKey> read_key(std::string_view bytes) {
  if (bytes.size() != kKeyBytes) return std::nullopt;
  return RecordKey{.job = read_big(bytes.substr(0, 8)),
                   .kind = static_cast<RecordKind>(read_big(bytes.substr(8, 1))),
                   .number = read_big(bytes.substr(9, 8)),
                   .ordinal = static_cast<uint32_t>(read_big(bytes.substr(17, 4)))};
}

std::string value_bytes(uint64_t epoch, uint64_t commit, std::span<const std::byte> record) {
  std::string bytes;
  bytes.reserve(kHeaderBytes + record.size());
  append_little(bytes, kValueVersion, 2);
  append_little(bytes, epoch, 8);
  append_little(bytes, commit, 8);
  bytes.append(reinterpret_cast<const char*>(record.data()), record.size());
  return bytes;
}

Result<StoredRecord> read_value(const RecordKey& key, std::string_view bytes) {
  const auto damaged = [&key](const std::string& why) {
    return Error{ErrorCode::kCorruption,
                 fmt::format("record {}/{}/{}/{} of the store: {}", key.job,
                             static_cast<int>(key.kind), key.number, key.ordinal, why)};
  };
  if (bytes.size() < kHeaderBytes) {
    return damaged(fmt::format("{} bytes are no record", bytes.size()));
  }
  const uint64_t version = read_little(bytes.substr(0, 2));
  if (version != kValueVersion) {
    return damaged(fmt::format("it has version {}, this program reads {}", version, kValueVersion));
  }
  const auto* const first = reinterpret_cast<const std::byte*>(bytes.data());
  return StoredRecord{.key = key,
                      .epoch = read_little(bytes.substr(2, 8)),
                      .commit = read_little(bytes.substr(10, 8)),
                      .value = {first + kHeaderBytes, first + bytes.size()}};
}

}  // namespace troupe::actors
