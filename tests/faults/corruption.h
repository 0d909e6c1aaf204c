// Seeded damage to the files of a store and of a recovery point: it is refused in words, or what
// was acknowledged is there. TROUPE_CORRUPTION_SEED=N replays one seed.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/replay/replay_store.h"
#include "kernels/random.h"
#include "model/formats/recovery_point.h"
#include "tests/support/point_in_parts.h"
#include "tests/support/process.h"
#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::tests {

namespace fs = std::filesystem;
using kernels::RandomStream;

// Damage is no job's randomness: a seed of its own keeps it apart.
inline RandomStream stream_of(uint64_t seed) {
  return {0xDA3A6Eu, kernels::StreamId::kMakeData, seed};
}

inline std::string random_bytes(RandomStream& random, size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next_u32());
  return bytes;
}

// Every file below a folder by its relative name; the locks are empty and say nothing.
using Files = std::map<std::string, std::string>;
inline Files files_in(const std::string& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    const std::string file = entry.path().filename().string();
    if (entry.is_regular_file() && file != "lock" && file != "LOCK") {
      files[name] = contents(entry.path().string());
    }
  }
  return files;
}

inline void write_files(const std::string& folder, const Files& files) {
  fs::remove_all(folder);
  for (const auto& [name, bytes] : files) {
    fs::create_directories(fs::path(folder + "/" + name).parent_path());
    write_text(folder + "/" + name, bytes);
  }
}

inline constexpr std::array kDamages = {
    "bit flipped", "bytes changed", "block zeroed",    "block of noise", "cut anywhere",
    "cut to 0",    "rest appended", "a block doubled", "deleted",        "older copy"};

// What a file holds afterwards, never what it held before; nothing when it is deleted. `older` is
// what a file of its kind held earlier.
inline std::optional<std::string> damaged(const std::string& whole, size_t damage,
                                          const std::string& older, RandomStream& random) {
  std::string bytes = whole;
  const size_t size = whole.size();
  const auto place = [&] { return static_cast<size_t>(random.below(size)); };
  const size_t block = random.below(2) == 0 ? 512 : 4096;
  if (damage == 8) return std::nullopt;
  if (damage == 6 || size == 0) return bytes + random_bytes(random, 1 + random.below(5000));
  if (damage == 1) {
    for (uint64_t i = 2 + random.below(7); i > 0; --i) bytes[place()] ^= random_bytes(random, 1)[0];
  } else if (damage == 2 || damage == 3) {
    const size_t at = place() / block * block;
    const size_t count = std::min(block, size - at);
    bytes.replace(at, count, damage == 2 ? std::string(count, '\0') : random_bytes(random, count));
  } else if (damage == 4) {
    bytes.resize(place());
  } else if (damage == 5) {
    bytes.clear();
  } else if (damage == 7) {
    const size_t at = place() / block * block;
    bytes.insert(at, bytes.substr(at, block));
  } else if (damage == 9) {
    bytes = older;
  }
  if (bytes == whole) bytes[place()] ^= static_cast<char>(1 << random.below(8));
  return bytes;
}

// How often what was injected, and what became of it.
struct CorruptionCounts {
  struct One {
    uint64_t refused_at_opening = 0;
    uint64_t refused_at_reading = 0;
    uint64_t without_effect = 0;
    uint64_t total() const { return refused_at_opening + refused_at_reading + without_effect; }
    uint64_t refused() const { return refused_at_opening + refused_at_reading; }
  };
  std::map<std::string, One> by_file{};
  std::map<std::string, One> by_damage{};
  One all{};

  void add(const std::string& file, size_t damage, uint64_t One::*outcome) {
    ++(by_file[file].*outcome);
    ++(by_damage[kDamages[damage]].*outcome);
    ++(all.*outcome);
  }
  std::string text() const {
    const auto one = [](const One& x) {
      return std::to_string(x.refused_at_opening) + "+" + std::to_string(x.refused_at_reading) +
             "/" + std::to_string(x.total());
    };
    std::string text = "refused at opening+reading/all: " + one(all);
    for (const auto& [name, x] : by_file) text += "; " + name + " " + one(x);
    for (const auto& [name, x] : by_damage) text += "; " + name + " " + one(x);
    return text;
  }
};

inline constexpr std::array kStoreFiles = {".log",    ".sst",     "MANIFEST", "CURRENT",
                                           "OPTIONS", "IDENTITY", "mark"};

// A store that is written, and in memory what it acknowledged.
class KnownStore {
 public:
  using Records = std::map<actors::RecordKey, actors::StoredRecord>;

  KnownStore() {
    const std::string folder = dir_.file("store");
    RandomStream random = stream_of(UINT64_MAX);
    for (uint64_t opening = 0; opening < 3; ++opening) {
      open(folder);
      for (uint64_t job = 1; job <= 3; ++job) begin_epoch(job);
      for (uint64_t round = 4 * opening; round < 4 * opening + 4; ++round) {
        // Before the last commits, so that going back to it loses some.
        if (round == 10) older_ = files_in(folder);
        for (uint64_t job = 1; job <= 3; ++job) commit_round(job, round, random);
      }
      store_.reset();
    }
    in_log_ = files_in(folder);
    open(folder);  // Makes a table of the log.
    store_.reset();
    in_tables_ = files_in(folder);
  }

  const Files& in_log() const { return in_log_; }
  const Files& in_tables() const { return in_tables_; }
  // What a file of this kind held earlier.
  std::string older(const std::string& name, const std::string& kind) const {
    if (const auto same = older_.find(name); same != older_.end()) return same->second;
    for (const auto& [other, bytes] : older_) {
      if (kind_of(other) == kind) return bytes;
    }
    return "";
  }
  const Records& records() const { return records_; }
  const std::map<uint64_t, uint64_t>& epochs() const { return epochs_; }

  static std::string kind_of(const std::string& name) {
    const fs::path path(name);
    if (path.extension() == ".log" || path.extension() == ".sst") return path.extension().string();
    const std::string file = path.filename().string();
    return file.substr(0, file.find('-'));
  }

 private:
  void open(const std::string& folder) {
    auto store = actors::ReplayStore::open(folder);
    REQUIRE(store);
    store_ = *std::move(store);
  }
  void begin_epoch(uint64_t job) {
    const auto epoch = store_->begin_epoch(job);
    REQUIRE(epoch);
    epochs_[job] = *epoch;
    keep({.key = {.job = job, .kind = actors::RecordKind::kEpoch}});
  }
  void keep(actors::StoredRecord record) {
    record.epoch = epochs_[record.key.job];
    record.commit = store_->num_commits();
    records_[record.key] = std::move(record);
  }

  void commit_round(uint64_t job, uint64_t round, RandomStream& random) {
    using actors::RecordKind;
    const auto text = [&](uint64_t bytes_max) {
      return random_bytes(random, 1 + random.below(bytes_max));
    };
    actors::Batch batch{.job = job, .epoch = epochs_[job]};
    batch.writes.push_back(write(job, RecordKind::kJob, 0, text(300)));
    batch.writes.push_back(write(job, RecordKind::kRound, round, text(300)));
    for (uint32_t i = 0; i < 3; ++i) {
      batch.writes.push_back(write(job, RecordKind::kGroup, round, text(3000), i));
    }
    if (round % 4 == 1) {
      batch.writes.push_back(write(job, RecordKind::kGroup, round, text(200'000), 3));
    }
    batch.writes.push_back(write(job, RecordKind::kStep, round, text(500)));
    batch.writes.push_back(write(job, RecordKind::kPoint, round, text(500)));
    if (round >= 2) {
      batch.erases = {{.kind = RecordKind::kGroup, .first = 0, .end = round - 1},
                      {.kind = RecordKind::kPoint, .first = round - 2, .end = round - 1}};
    }
    REQUIRE(store_->commit({&batch, 1})[0]);
    for (const actors::Erase& erase : batch.erases) {
      std::erase_if(records_, [&](const auto& item) {
        const actors::RecordKey& key = item.first;
        return key.job == job && key.kind == erase.kind && key.number >= erase.first &&
               key.number < erase.end;
      });
    }
    for (const actors::Write& w : batch.writes) keep({.key = w.key, .value = w.value});
  }

  TempDir dir_{};
  std::unique_ptr<actors::ReplayStore> store_{};
  Records records_{};
  std::map<uint64_t, uint64_t> epochs_{};
  Files in_log_{}, in_tables_{}, older_{};
};

// Everything in a store; an error when a read is refused.
inline Result<KnownStore::Records> read_all(const actors::ReplayStore& store) {
  KnownStore::Records found;
  const auto jobs = store.jobs();
  if (!jobs) return jobs.error();
  for (const uint64_t job : *jobs) {
    for (uint8_t kind = 1; kind <= static_cast<uint8_t>(actors::RecordKind::kSegments); ++kind) {
      auto records = store.list(job, static_cast<actors::RecordKind>(kind));
      if (!records) return records.error();
      for (auto& record : *records) found[record.key] = std::move(record);
    }
  }
  return found;
}

inline bool equal(const KnownStore::Records& a, const KnownStore::Records& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.epoch == y.second.epoch &&
           x.second.commit == y.second.commit && x.second.value == y.second.value;
  });
}

// It says that something is damaged, where, and what to do.
inline void check_refusal(const Error& error, const std::string& folder) {
  CAPTURE(error.message);
  CHECK(error.code == ErrorCode::kCorruption);
  CHECK(error.message.find(folder) != std::string::npos);
  CHECK(error.message.find("restore the") != std::string::npos);
}

// Goes on with a store that seems whole: one more commit, also there after opening again.
inline void check_goes_on(std::unique_ptr<actors::ReplayStore> store, const std::string& folder,
                          const KnownStore& known) {
  const actors::Batch more = numbered_batch(1, known.epochs().at(1), 1000);
  const Status committed = store->commit({&more, 1})[0];
  REQUIRE_MESSAGE(committed, (committed ? "" : committed.error().message));
  KnownStore::Records want = known.records();
  want[more.writes[0].key] = {.key = more.writes[0].key,
                              .epoch = more.epoch,
                              .commit = store->num_commits(),
                              .value = more.writes[0].value};
  store.reset();
  auto again = actors::ReplayStore::open(folder);
  REQUIRE_MESSAGE(again, (again ? "" : again.error().message));
  const auto found = read_all(**again);
  REQUIRE_MESSAGE(found, (found ? "" : found.error().message));
  CHECK(equal(*found, want));
}

inline void corrupt_store(uint64_t seed, const KnownStore& known, const std::string& folder,
                          CorruptionCounts& counts) {
  using One = CorruptionCounts::One;
  RandomStream random = stream_of(seed);
  const std::string kind = kStoreFiles[seed % kStoreFiles.size()];
  const size_t damage = seed / kStoreFiles.size() % kDamages.size();
  // A log whose records are in tables is empty.
  Files files = random.below(kind == ".log" ? 10 : 2) == 0 ? known.in_tables() : known.in_log();
  std::vector<std::string> names;
  for (const auto& item : files) {
    if (KnownStore::kind_of(item.first) == kind) names.push_back(item.first);
  }
  const std::string name = names[random.below(names.size())];
  const auto bytes = damaged(files[name], damage, known.older(name, kind), random);
  CAPTURE(name);
  const std::string what = kDamages[damage];
  CAPTURE(what);
  if (bytes) files[name] = *bytes;
  if (!bytes) files.erase(name);
  write_files(folder, files);

  auto store = actors::ReplayStore::open(folder);
  if (!store) {
    check_refusal(store.error(), folder);
    CHECK_MESSAGE(files_in(folder) == files, "refusing changed the files");
    return counts.add(kind, damage, &One::refused_at_opening);
  }
  const auto found = read_all(**store);
  if (!found) {
    check_refusal(found.error(), folder);
    return counts.add(kind, damage, &One::refused_at_reading);
  }
  CHECK(equal(*found, known.records()));
  check_goes_on(*std::move(store), folder, known);
  counts.add(kind, damage, &One::without_effect);
}

// A recovery point of three ranks, and what it was made of.
class KnownPoint {
 public:
  KnownPoint() : layout_(tiny_config()) {
    older_ = save("older", 1);
    files_ = save("point", 2);
  }
  const Files& files() const { return files_; }
  const Files& older() const { return older_; }

  Result<model::LearnerState> load(const std::string& folder) const {
    return model::load_recovery_point(folder, point_, layout_, /*has_reference=*/true);
  }
  Status verify(const std::string& folder) const {
    return model::verify_recovery_point(folder, point_);
  }
  bool is_equal(const model::LearnerState& state) const { return tests::is_equal(state, state_); }

 private:
  Files save(const std::string& name, uint64_t seed) {
    state_.masters = lively_parameters(tiny_config(), layout_, seed);
    state_.m = lively_parameters(tiny_config(), layout_, seed + 10);
    state_.v = lively_parameters(tiny_config(), layout_, seed + 20);
    state_.reference = lively_parameters(tiny_config(), layout_, seed + 30);
    state_.beta1_power = 0.9 / static_cast<double>(seed);
    state_.beta2_power = 0.99 / static_cast<double>(seed);
    const std::vector<PolicyFile> policies = {{PolicyVersion{0}, dir_.file("policy")}};
    const auto written =
        model::write_policy_file(policies[0].path, tiny_config(), state_.reference);
    REQUIRE_MESSAGE(written, written.error().message);
    const auto saved = save_in_parts(dir_.file(name), PolicyVersion{seed},
                                     {.config = tiny_config(), .values = state_.masters}, state_,
                                     policies, ranges_of(layout_, 3));
    REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
    point_ = *saved;
    return files_in(dir_.file(name));
  }

  TempDir dir_{};
  model::ParameterLayout layout_;
  model::LearnerState state_{};
  PointRecord point_{};
  Files files_{}, older_{};
};

inline void corrupt_point(uint64_t seed, const KnownPoint& known, const std::string& folder,
                          CorruptionCounts& counts) {
  RandomStream random = stream_of(seed);
  Files files = known.files();
  const std::string name = std::next(files.begin(), seed % files.size())->first;
  const size_t damage = seed / files.size() % kDamages.size();
  const auto bytes = damaged(files[name], damage, known.older().at(name), random);
  CAPTURE(name);
  const std::string what = kDamages[damage];
  CAPTURE(what);
  if (bytes) files[name] = *bytes;
  if (!bytes) files.erase(name);
  write_files(folder, files);
  const auto check_refused = [&folder](const auto& result) {
    REQUIRE_FALSE(result);
    CAPTURE(result.error().message);
    CHECK(result.error().code == ErrorCode::kCorruption);
    CHECK(result.error().message.find(folder) != std::string::npos);
    CHECK(result.error().message.find("an older recovery point is needed") != std::string::npos);
  };
  // Every file is named by the manifest, and the manifest by the store: none may differ.
  check_refused(known.verify(folder));
  // A learner reads the parts only, and never something else than was saved.
  const auto state = known.load(folder);
  if (name == "manifest.json" || name.rfind("recovery/part_", 0) == 0) {
    check_refused(state);
  } else {
    REQUIRE(state);
    CHECK(known.is_equal(*state));
  }
  CHECK(files_in(folder) == files);
  counts.add(name, damage, &CorruptionCounts::One::refused_at_opening);
}

// Runs `count` seeds, or the one that TROUPE_CORRUPTION_SEED names.
template <typename Corrupt, typename Known>
CorruptionCounts corrupt_all(uint64_t count, const Known& known, Corrupt corrupt) {
  const TempDir dir;
  CorruptionCounts counts;
  const auto run = [&](uint64_t seed) {
    const std::string replay = "TROUPE_CORRUPTION_SEED=" + std::to_string(seed);
    CAPTURE(replay);
    corrupt(seed, known, dir.file("damaged"), counts);
  };
  if (const char* asked = std::getenv("TROUPE_CORRUPTION_SEED")) {
    run(std::strtoull(asked, nullptr, 10));
  } else {
    for (uint64_t seed = 0; seed < count; ++seed) run(seed);
  }
  MESSAGE(counts.text());
  return counts;
}

// Nothing injected or nothing found must not pass.
inline void check_all_injected(const CorruptionCounts& counts, uint64_t count) {
  if (std::getenv("TROUPE_CORRUPTION_SEED") != nullptr) return;
  CHECK(counts.all.total() == count);
  CHECK(counts.by_damage.size() == kDamages.size());
  for (const auto& [damage, one] : counts.by_damage) {
    CAPTURE(damage);
    CHECK(one.refused() > 0);
  }
}

inline void check_store_corruptions(uint64_t count) {
  const KnownStore known;
  const auto counts = corrupt_all(count, known, corrupt_store);
  check_all_injected(counts, count);
  if (std::getenv("TROUPE_CORRUPTION_SEED") != nullptr) return;
  for (const std::string kind : kStoreFiles) {
    CAPTURE(kind);
    REQUIRE(counts.by_file.count(kind) == 1);
    // Nothing that was acknowledged depends on these two.
    const bool is_needed = kind != "OPTIONS" && kind != "IDENTITY";
    if (is_needed) CHECK(counts.by_file.at(kind).refused() > 0);
  }
}

inline void check_point_corruptions(uint64_t count) {
  const KnownPoint known;
  const auto counts = corrupt_all(count, known, corrupt_point);
  check_all_injected(counts, count);
  if (std::getenv("TROUPE_CORRUPTION_SEED") != nullptr) return;
  CHECK(counts.all.refused() == count);
  CHECK(counts.by_file.size() == known.files().size());
  // A whole folder of another point agrees with its own manifest, and still is not this one.
  const TempDir dir;
  write_files(dir.file("point"), known.files());
  const auto state = known.load(dir.file("point"));
  REQUIRE(state);
  CHECK(known.is_equal(*state));
  write_files(dir.file("point"), known.older());
  CHECK_FALSE(known.load(dir.file("point")));
  CHECK_FALSE(known.verify(dir.file("point")));
}

}  // namespace troupe::tests
