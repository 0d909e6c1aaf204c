#include "model/formats/recovery_point.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "model/formats/file.h"
#include "model/formats/safetensors.h"
#include "schemas/check.h"
#include "schemas/hash.h"
#include "schemas/system_error.h"

namespace troupe::model {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr size_t kPartHeaderBytesMax = 64 << 10;  // A few hundred in truth.

Result<std::string> file_sha256(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return damaged_point(path, std::strerror(errno));
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  ssize_t count = 0;
  while ((count = ::read(file, buffer.data(), buffer.size())) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    hash.update(std::span(buffer).first(static_cast<size_t>(count)));
  }
  ::close(file);
  if (count < 0) return damaged_point(path, "cannot be read");
  return hash.hex();
}

Status verify_file(const std::string& folder, const PointFile& file) {
  const std::string path = folder + "/" + file.name;
  const auto found = file_sha256(path);
  if (!found) return found.error();
  if (*found != file.sha256) {
    return damaged_point(path, "does not have the digest that its manifest says");
  }
  return ok();
}

Status add_file(std::vector<PointFile>& files, const std::string& folder, const std::string& name) {
  auto digest = file_sha256(folder + "/" + name);
  if (!digest) return digest.error();
  files.push_back({name, *std::move(digest)});
  return ok();
}

TensorView tensor(const char* name, std::span<const float> values) {
  return {.name = name,
          .dtype = DType::kF32,
          .shape = {static_cast<int64_t>(values.size())},
          .bytes = std::as_bytes(values)};
}

std::string policy_name(PolicyVersion version) {
  return fmt::format("recovery/policy_{}.safetensors", number(version));
}

// What a part says of itself beside its tensors.
struct PartFacts {
  int part = 0;
  int parts = 0;
  FloatRange range{};
  uint64_t beta1_power = 0;  // A double by its bits: text would have to be read back exactly.
  uint64_t beta2_power = 0;
};

bool is_equal(const PartFacts& a, const PartFacts& b) {
  return a.part == b.part && a.parts == b.parts && a.range.begin == b.range.begin &&
         a.range.end == b.range.end && a.beta1_power == b.beta1_power &&
         a.beta2_power == b.beta2_power;
}

Metadata metadata_of(const PartFacts& facts) {
  return {{"part", fmt::format("{}", facts.part)},
          {"parts", fmt::format("{}", facts.parts)},
          {"begin", fmt::format("{}", facts.range.begin)},
          {"end", fmt::format("{}", facts.range.end)},
          {"beta1_power", fmt::format("{:016x}", facts.beta1_power)},
          {"beta2_power", fmt::format("{:016x}", facts.beta2_power)}};
}

template <class Number>
bool read_number(const Metadata& metadata, const char* key, int base, Number& to) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return false;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<PartFacts> facts_of(const Metadata& metadata) {
  PartFacts facts;
  const bool is_whole = read_number(metadata, "part", 10, facts.part) &&
                        read_number(metadata, "parts", 10, facts.parts) &&
                        read_number(metadata, "begin", 10, facts.range.begin) &&
                        read_number(metadata, "end", 10, facts.range.end) &&
                        read_number(metadata, "beta1_power", 16, facts.beta1_power) &&
                        read_number(metadata, "beta2_power", 16, facts.beta2_power);
  return is_whole ? std::optional(facts) : std::nullopt;
}

// Read and not mapped: a page that the disk no longer gives must be an error, not a signal.
Result<PartFacts> read_facts(const std::string& path) {
  if (!is_file(path)) return damaged_point(path, "is missing");
  const auto start = read_start(path, kPartHeaderBytesMax);
  if (!start) return damaged_point(path, "cannot be read");
  const auto metadata =
      parse_safetensors_metadata(std::as_bytes(std::span(start->data(), start->size())));
  if (!metadata) return damaged_point(path, metadata.error().message);
  const auto facts = facts_of(*metadata);
  if (!facts) return damaged_point(path, "does not say which part of a point it is");
  return *facts;
}

// What all parts say of themselves, before any is verified: enough to know which are needed. A
// damaged one may say what fits; whoever needs its floats verifies it.
Result<std::vector<PartFacts>> look_at_parts(const std::string& folder, int parts,
                                             int64_t num_floats) {
  std::vector<PartFacts> all;
  int64_t at = 0;
  for (int part = 0; part < parts; ++part) {
    const std::string path = folder + "/" + point_part_name(part);
    const auto facts = read_facts(path);
    if (!facts) return facts.error();
    if (facts->part != part || facts->parts != parts) {
      return damaged_point(path, fmt::format("is part {} of {} and should be part {} of {}",
                                             facts->part, facts->parts, part, parts));
    }
    if (facts->range.begin != at || facts->range.end < at || facts->range.end > num_floats) {
      return damaged_point(path, fmt::format("holds floats {} to {} of {}, and those before it end "
                                             "at {}",
                                             facts->range.begin, facts->range.end, num_floats, at));
    }
    at = facts->range.end;
    if (part > 0 &&
        (facts->beta1_power != all[0].beta1_power || facts->beta2_power != all[0].beta2_power)) {
      return damaged_point(path, "has other powers of beta than the first part");
    }
    all.push_back(*facts);
  }
  if (at != num_floats) {
    return damaged_point(
        folder + "/" + point_part_name(parts - 1),
        fmt::format("is the last part and ends at {} of {} floats", at, num_floats));
  }
  return all;
}

FloatRange common(const FloatRange& a, const FloatRange& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

// Copies those floats of a tensor of `part` that lie in `own`, which `to` has all of. False when
// there is no such tensor.
bool take(const SafetensorsFile& file, const char* name, const FloatRange& part,
          const FloatRange& own, std::vector<float>& to) {
  const TensorView* found = file.find(name);
  if (found == nullptr || found->dtype != DType::kF32 ||
      found->shape != std::vector<int64_t>{part.count()}) {
    return false;
  }
  const FloatRange both = common(part, own);
  if (both.count() == 0) return true;
  std::memcpy(to.data() + (both.begin - own.begin),
              found->bytes.data() + static_cast<size_t>(both.begin - part.begin) * sizeof(float),
              static_cast<size_t>(both.count()) * sizeof(float));
  return true;
}

Status take_part(const std::string& path, const PartFacts& facts, const FloatRange& own,
                 LearnerState& state) {
  const auto file = SafetensorsFile::open(path);
  if (!file) return damaged_point(path, file.error().message);
  const auto now = facts_of(file->metadata());
  if (!now || !is_equal(*now, facts)) return damaged_point(path, "was changed while it was read");
  const FloatRange all{0, static_cast<int64_t>(state.reference.size())};
  if (!take(*file, "masters", facts.range, own, state.masters) ||
      !take(*file, "m", facts.range, own, state.m) ||
      !take(*file, "v", facts.range, own, state.v) ||
      (all.count() > 0 && !take(*file, "reference", facts.range, all, state.reference))) {
    return damaged_point(path, "does not hold this job's learner");
  }
  return ok();
}

}  // namespace

std::string policy_path(const std::string& folder, PolicyVersion version) {
  return folder + "/" + policy_name(version);
}

Result<std::vector<PointFile>> save_point_part(const std::string& folder, int part, int parts,
                                               const FloatRange& range, const LearnerState& state) {
  TROUPE_CHECK(0 <= part && part < parts);
  if (Status made = create_folders(folder + "/recovery"); !made) return made.error();
  const auto count = static_cast<size_t>(range.count());
  TROUPE_CHECK(state.masters.size() == count);
  TROUPE_CHECK(state.m.size() == count);
  TROUPE_CHECK(state.v.size() == count);
  std::vector<TensorView> tensors = {tensor("masters", state.masters), tensor("m", state.m),
                                     tensor("v", state.v)};
  if (!state.reference.empty()) {
    TROUPE_CHECK(static_cast<int64_t>(state.reference.size()) >= range.end);
    tensors.push_back(tensor(
        "reference", std::span(state.reference).subspan(static_cast<size_t>(range.begin), count)));
  }
  const PartFacts facts{.part = part,
                        .parts = parts,
                        .range = range,
                        .beta1_power = std::bit_cast<uint64_t>(state.beta1_power),
                        .beta2_power = std::bit_cast<uint64_t>(state.beta2_power)};
  const std::string name = point_part_name(part);
  if (Status s = write_safetensors(folder + "/" + name, tensors, metadata_of(facts)); !s) {
    return s.error();
  }
  std::vector<PointFile> files;
  if (Status s = add_file(files, folder, name); !s) return s.error();
  return files;
}

Result<PointWhole> save_point_checkpoint(const std::string& folder, const Checkpoint& checkpoint,
                                         std::span<const PolicyFile> policies) {
  if (Status made = create_folders(folder + "/recovery"); !made) return made.error();
  auto names = write_checkpoint_files(folder, checkpoint);
  if (!names) return names.error();
  PointWhole whole;
  for (const PolicyFile& policy : policies) {
    const std::string path = policy_path(folder, policy.version);
    if (Status s = share_file(policy.path, path); !s) return s.error();
    auto values = read_policy_file(path, checkpoint.config);
    if (!values) return values.error();
    whole.policies.push_back({policy.version, checkpoint_sha256(checkpoint.config, *values)});
    names->push_back(policy_name(policy.version));
  }
  for (const std::string& name : *names) {
    if (Status s = add_file(whole.files, folder, name); !s) return s.error();
  }
  return whole;
}

Result<PointRecord> finish_point(const std::string& folder, PolicyVersion version,
                                 std::string weights_sha256, std::vector<PointPolicy> policies,
                                 std::vector<PointFile> files, int parts) {
  PointRecord point{.version = version,
                    .weights_sha256 = std::move(weights_sha256),
                    .policies = std::move(policies)};
  // The names of shared files, before the one that says that they are there.
  if (Status s = sync_folder(folder + "/recovery"); !s) return s.error();
  auto written = write_point_manifest(folder, {.version = version,
                                               .weights_sha256 = point.weights_sha256,
                                               .parts = parts,
                                               .files = std::move(files)});
  if (!written) return written.error();
  point.manifest_sha256 = *std::move(written);
  return point;
}

Result<PointRecord> save_recovery_point(const std::string& folder, PolicyVersion version,
                                        const Checkpoint& checkpoint, const LearnerState& state,
                                        std::span<const PolicyFile> policies) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return system_error("cannot remove " + folder, error.value());
  auto whole = save_point_checkpoint(folder, checkpoint, policies);
  if (!whole) return whole.error();
  const FloatRange all{0, static_cast<int64_t>(checkpoint.values.size())};
  const auto part = save_point_part(folder, 0, 1, all, state);
  if (!part) return part.error();
  whole->files.insert(whole->files.end(), part->begin(), part->end());
  return finish_point(folder, version, checkpoint_sha256(checkpoint.config, checkpoint.values),
                      std::move(whole->policies), std::move(whole->files), /*parts=*/1);
}

Status verify_recovery_point(const std::string& folder, const PointRecord& point) {
  const auto manifest = read_point_manifest(folder, point.manifest_sha256);
  if (!manifest) return manifest.error();
  for (const PointFile& file : manifest->files) {
    if (Status status = verify_file(folder, file); !status) return status;
  }
  return ok();
}

Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, const FloatRange& own,
                                         bool has_reference) {
  TROUPE_CHECK(0 <= own.begin && own.begin <= own.end);
  TROUPE_CHECK(own.end <= layout.num_floats());
  const auto manifest = read_point_manifest(folder, point.manifest_sha256);
  if (!manifest) return manifest.error();
  const auto parts = look_at_parts(folder, manifest->parts, layout.num_floats());
  if (!parts) return parts.error();

  LearnerState state;
  for (auto* to : {&state.masters, &state.m, &state.v}) {
    to->resize(static_cast<size_t>(own.count()));
  }
  if (has_reference) state.reference.resize(static_cast<size_t>(layout.num_floats()));
  for (const PartFacts& part : *parts) {
    // A rank without floats still needs the powers of beta, of a part that is verified.
    const bool is_needed = has_reference || common(part.range, own).count() > 0 ||
                           (own.count() == 0 && part.part == 0);
    if (!is_needed) continue;
    const PointFile* file = manifest->find(point_part_name(part.part));
    TROUPE_CHECK(file != nullptr);
    if (Status status = verify_file(folder, *file); !status) return status.error();
    if (Status status = take_part(folder + "/" + file->name, part, own, state); !status) {
      return status.error();
    }
    state.beta1_power = std::bit_cast<double>(part.beta1_power);
    state.beta2_power = std::bit_cast<double>(part.beta2_power);
  }
  return state;
}

Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, bool has_reference) {
  return load_recovery_point(folder, point, layout, {0, layout.num_floats()}, has_reference);
}

}  // namespace troupe::model
