// A mark on a disk that loses power, is killed or fails at each of its calls: it can always be
// read, and never goes back behind what was synced.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "actors/replay/mark_file.h"
#include "tests/faults/corruption.h"
#include "tests/support/lossy_disk.h"
#include "tests/support/process.h"
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
    bool is_written = static_cast<bool>(mark.sync());  // Since the last failure.
    if (is_written) synced = written;
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

// Which of the two slots differ between two contents of the file.
std::vector<size_t> changed_slots(const std::string& before, const std::string& after) {
  constexpr size_t kSlotBytes = 512;
  REQUIRE(before.size() == 2 * kSlotBytes);
  REQUIRE(after.size() == before.size());
  std::vector<size_t> changed;
  for (const size_t slot : {0, 1}) {
    if (before.compare(slot * kSlotBytes, kSlotBytes, after, slot * kSlotBytes, kSlotBytes) != 0) {
      changed.push_back(slot);
    }
  }
  return changed;
}

TEST_CASE("mark_file: until a sync one slot is written, and after it the other") {
  const tests::TempDir dir;
  const std::string path = dir.file("mark");
  REQUIRE(MarkFile::create(path, 5));
  size_t before = 2;
  for (int life = 0; life < 3; ++life) {
    auto mark = *MarkFile::open(path);
    REQUIRE(mark->sync());
    for (int i = 0; i < 5; ++i) {
      const std::string synced = tests::contents(path);
      for (int k = 0; k < 3; ++k) REQUIRE(mark->write(mark->value() + 1));
      const auto changed = changed_slots(synced, tests::contents(path));
      REQUIRE(changed.size() == 1);
      CHECK(changed[0] != before);
      before = changed[0];
      REQUIRE(mark->sync());
    }
  }
}

TEST_CASE("mark_file: who meets a torn slot writes that one, and not the only one that is whole") {
  const tests::TempDir dir;
  const std::string path = dir.file("mark");
  REQUIRE(MarkFile::create(path, 5));
  for (int i = 0; i < 6; ++i) {
    const std::string synced = tests::contents(path);
    uint64_t value = 0;
    {
      auto mark = *MarkFile::open(path);
      value = mark->value();
      REQUIRE(mark->sync());
      REQUIRE(mark->write(value + 1));
    }
    std::string left = tests::contents(path);
    const auto torn = changed_slots(synced, left);
    REQUIRE(torn.size() == 1);
    left[torn[0] * 512 + 100] ^= 1;
    tests::write_text(path, left);
    auto mark = *MarkFile::open(path);
    REQUIRE(mark);
    CHECK(mark->value() == value);
    REQUIRE(mark->sync());
    REQUIRE(mark->write(value + 1));
    CHECK(changed_slots(left, tests::contents(path)) == torn);
    REQUIRE(mark->sync());
  }
}

}  // namespace
}  // namespace troupe
