#include "cluster/formats/tensorboard_file.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

TEST_CASE("tensorboard_file: CRC-32C as RFC 3720 gives it") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62A8AB43);
}

// The events of the only file in a folder, each with its CRCs checked.
std::vector<std::string> events_in(const std::string& folder) {
  std::string path;
  for (const auto& one : std::filesystem::directory_iterator(folder)) {
    CHECK(path.empty());
    path = one.path().string();
  }
  CHECK(path.find("/events.out.tfevents.") != std::string::npos);
  const std::string bytes = tests::contents(path);
  std::vector<std::string> events;
  size_t at = 0;
  const auto crc_at = [&](size_t from, size_t size) {
    const uint32_t crc = crc32c(std::string_view(bytes).substr(from, size));
    uint32_t written = 0;
    std::memcpy(&written, &bytes[from + size], sizeof(written));
    CHECK(written == ((crc >> 15) | (crc << 17)) + 0xA282EAD8);
  };
  while (at + 16 <= bytes.size()) {
    uint64_t size = 0;
    std::memcpy(&size, &bytes[at], sizeof(size));
    crc_at(at, 8);
    REQUIRE(at + 16 + size <= bytes.size());
    crc_at(at + 12, size);
    events.push_back(bytes.substr(at + 12, size));
    at += 16 + size;
  }
  CHECK(at == bytes.size());
  return events;
}

TEST_CASE("tensorboard_file: records of events, whole at any moment") {
  const tests::TempDir dir;
  TensorBoardFile file(dir.file("run"), 1'700'000'000, 3);
  REQUIRE(file.is_open());
  CHECK(events_in(dir.file("run")).size() == 2);
  const std::pair<std::string, double> values[] = {{"reward/mean", 0.25}, {"loss", -1.5}};
  file.add_scalars(300, 1'700'000'001, values);
  const auto events = events_in(dir.file("run"));
  REQUIRE(events.size() == 3);
  CHECK(events[0].find("brain.Event:2") != std::string::npos);
  // time; step 300 as a varint; summary of 33 bytes with a tag and a float each.
  using namespace std::string_literals;
  CHECK(events[2].substr(9) ==
        "\x10\xac\x02\x2a\x21"
        "\x0a\x12\x0a\x0breward/mean\x15\x00\x00\x80\x3e"
        "\x0a\x0b\x0a\x04loss\x15\x00\x00\xc0\xbf"s);
}

TEST_CASE("tensorboard_file: a folder that cannot be made is no error of the run") {
  const tests::TempDir dir;
  tests::write_text(dir.file("taken"), "");
  TensorBoardFile file(dir.file("taken"), 1, 0);
  CHECK(!file.is_open());
  file.add_text(1, 1, "a", "b");
}

}  // namespace
}  // namespace troupe::cluster
