#include "model/formats/recovery_point.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "model/formats/file.h"
#include "model/formats/safetensors.h"
#include "schemas/hash.h"
#include "schemas/system_error.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;

constexpr size_t kManifestBytesMax = 1 << 20;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kState = "recovery/state.safetensors";

Error damaged(const std::string& path, const std::string& what) {
  return {ErrorCode::kCorruption,
          fmt::format("{}: {}; an older recovery point is needed", path, what)};
}

Result<std::string> file_sha256(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return damaged(path, std::strerror(errno));
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  ssize_t count = 0;
  while ((count = ::read(file, buffer.data(), buffer.size())) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    hash.update(std::span(buffer).first(static_cast<size_t>(count)));
  }
  ::close(file);
  if (count < 0) return damaged(path, "cannot be read");
  return hash.hex();
}

TensorView tensor(const char* name, const std::vector<float>& values) {
  return {.name = name,
          .dtype = DType::kF32,
          .shape = {static_cast<int64_t>(values.size())},
          .bytes = std::as_bytes(std::span(values))};
}

std::string policy_name(PolicyVersion version) {
  return fmt::format("recovery/policy_{}.safetensors", number(version));
}

// Doubles by their bits: text would have to be read back exactly.
std::string bits(double value) { return fmt::format("{:016x}", std::bit_cast<uint64_t>(value)); }

bool read_bits(const std::map<std::string, std::string>& metadata, const char* key, double& to) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return false;
  const std::string& text = found->second;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  to = std::bit_cast<double>(value);
  return true;
}

}  // namespace

std::string policy_path(const std::string& folder, PolicyVersion version) {
  return folder + "/" + policy_name(version);
}

Result<PointRecord> save_recovery_point(const std::string& folder, PolicyVersion version,
                                        const Checkpoint& checkpoint, const LearnerState& state,
                                        std::span<const PolicyFile> policies) {
  if (Status s = save_checkpoint(folder, checkpoint); !s) return s.error();
  std::error_code error;
  fs::create_directories(folder + "/recovery", error);
  if (error) return system_error("cannot create " + folder + "/recovery", error.value());
  std::vector<TensorView> tensors = {tensor("masters", state.masters), tensor("m", state.m),
                                     tensor("v", state.v)};
  if (!state.reference.empty()) tensors.push_back(tensor("reference", state.reference));
  const std::map<std::string, std::string> metadata = {{"beta1_power", bits(state.beta1_power)},
                                                       {"beta2_power", bits(state.beta2_power)}};
  if (Status s = write_safetensors(folder + "/" + kState, tensors, metadata); !s) return s.error();

  PointRecord point;
  point.version = version;
  point.weights_sha256 = checkpoint_sha256(checkpoint.config, checkpoint.values);
  nlohmann::ordered_json files;
  std::vector<std::string> names = {"config.json", "model.safetensors", kState};
  for (const auto& [name, text] : files_of(checkpoint.text)) names.push_back(name);
  for (const PolicyFile& policy : policies) {
    const std::string path = policy_path(folder, policy.version);
    if (Status s = share_file(policy.path, path); !s) return s.error();
    auto values = read_policy_file(path, checkpoint.config);
    if (!values) return values.error();
    point.policies.push_back({policy.version, checkpoint_sha256(checkpoint.config, *values)});
    names.push_back(policy_name(policy.version));
  }
  for (const std::string& name : names) {
    auto digest = file_sha256(folder + "/" + name);
    if (!digest) return digest.error();
    files[name] = *digest;
  }
  const std::string manifest = nlohmann::ordered_json{{"policy_version", number(version)},
                                                      {"weights_sha256", point.weights_sha256},
                                                      {"files", files}}
                                   .dump(2) +
                               "\n";
  point.manifest_sha256 = sha256_hex(std::as_bytes(std::span(manifest.data(), manifest.size())));
  if (Status s = write_file(folder + "/" + kManifest, manifest); !s) return s.error();
  if (Status s = sync_folder(folder + "/recovery"); !s) return s.error();
  if (Status s = sync_folder(folder); !s) return s.error();
  return point;
}

Status verify_recovery_point(const std::string& folder, const PointRecord& point) {
  const std::string path = folder + "/" + kManifest;
  const auto manifest = read_file(path, kManifestBytesMax);
  if (!manifest) return damaged(path, "cannot be read");
  if (sha256_hex(std::as_bytes(std::span(manifest->data(), manifest->size()))) !=
      point.manifest_sha256) {
    return damaged(path, "is not the manifest that the store knows");
  }
  const auto json = nlohmann::json::parse(*manifest, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("files") || !json["files"].is_object()) {
    return damaged(path, "names no files");
  }
  for (const auto& [name, digest] : json["files"].items()) {
    const auto found = file_sha256(folder + "/" + name);
    if (!found) return found.error();
    if (!digest.is_string() || *found != digest.get<std::string>()) {
      return damaged(folder + "/" + name, "does not have the digest that its manifest says");
    }
  }
  return ok();
}

Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, bool has_reference) {
  if (Status status = verify_recovery_point(folder, point); !status) return status.error();
  const std::string path = folder + "/" + kState;
  const auto file = SafetensorsFile::open(path);
  if (!file) return damaged(path, file.error().message);
  LearnerState state;
  const auto take = [&](const char* name, std::vector<float>& to) {
    const TensorView* found = file->find(name);
    if (found == nullptr || found->dtype != DType::kF32 ||
        found->shape != std::vector<int64_t>{layout.num_floats()}) {
      return false;
    }
    to.resize(static_cast<size_t>(layout.num_floats()));
    std::memcpy(to.data(), found->bytes.data(), found->bytes.size());
    return true;
  };
  if (!take("masters", state.masters) || !take("m", state.m) || !take("v", state.v) ||
      (has_reference && !take("reference", state.reference))) {
    return damaged(path, "does not hold this job's learner");
  }
  if (!read_bits(file->metadata(), "beta1_power", state.beta1_power) ||
      !read_bits(file->metadata(), "beta2_power", state.beta2_power)) {
    return damaged(path, "has no powers of beta");
  }
  return state;
}

}  // namespace troupe::model
