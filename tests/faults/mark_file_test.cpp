// A mark on a disk that loses power, is killed or fails at each of its calls: it can always be
// read, and never goes back behind what was synced.
#include <doctest/doctest.h>

#include <filesystem>

#include "actors/replay/mark_file.h"
#include "tests/faults/corruption.h"
#include "tests/support/lossy_disk.h"
#include "tests/support/temp_dir.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;
using actors::MarkFile;
using tests::LossyDisk;

struct Counts {
  uint64_t met = 0;
  uint64_t behind = 0;  // The synced value was found, and a later one had been written.
  uint64_t ahead = 0;
};

// Three lives of one mark; the `call`-th call of each one meets `fault`.
void live(LossyDisk::Fault fault, uint64_t call, uint64_t seed, const std::string& folder,
          Counts& counts) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  LossyDisk disk(folder, seed);
  const std::string path = folder + "/mark";
  REQUIRE(MarkFile::create(path, 1));
  uint64_t synced = 1, written = 1;
  tests::RandomStream random = tests::stream_of(seed);
  for (int i = 0; i < 3; ++i) {
    auto opened = MarkFile::open(path);
    REQUIRE(opened);
    REQUIRE(opened->has_value());
    MarkFile mark = std::move(**opened);
    CAPTURE(synced);
    CAPTURE(written);
    CAPTURE(mark.value());
    REQUIRE(mark.value() >= synced);
    REQUIRE(mark.value() <= written);
    if (written > synced) ++(mark.value() < written ? counts.behind : counts.ahead);
    written = mark.value();
    disk.arm({.fault = fault, .count = call});
    bool is_written = true;  // Since the last failure.
    for (int step = 0; step < 12; ++step) {
      if (is_written && random.below(3) == 0) {
        is_written = static_cast<bool>(mark.sync());
        if (is_written) synced = written;
      } else {
        is_written = static_cast<bool>(mark.write(++written));
      }
    }
    counts.met += disk.met().has_value();
    disk.disarm();
    if (!disk.is_off()) disk.lose_power();
    disk.restart();
  }
}

TEST_CASE("mark_file: it is found after a loss at any call, and not behind its last sync") {
  const tests::TempDir dir;
  Counts counts;
  for (const auto fault :
       {LossyDisk::Fault::kPowerLoss, LossyDisk::Fault::kKill, LossyDisk::Fault::kError}) {
    for (uint64_t call = 1; call <= 12; ++call) {
      for (uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(static_cast<int>(fault));
        CAPTURE(call);
        CAPTURE(seed);
        live(fault, call, seed, dir.file("disk"), counts);
      }
    }
  }
  CHECK(counts.met > 1'000);
  CHECK(counts.behind > 100);
  CHECK(counts.ahead > 100);
}

}  // namespace
}  // namespace troupe
