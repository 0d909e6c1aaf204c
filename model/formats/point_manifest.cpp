#include "model/formats/point_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "model/formats/file.h"
#include "model/formats/in_quotes.h"
#include "schemas/bounds.h"
#include "schemas/hash.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

constexpr size_t kManifestBytesMax = 1 << 20;
constexpr const char* kManifest = "/manifest.json";

std::string sha256_of(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

// Whether a name means a file below the folder that it is appended to.
bool stays_inside(const std::string& name) {
  if (name.empty() || name.find('\0') != std::string::npos) return false;
  const std::filesystem::path path(name);
  return path.is_relative() && path.has_filename() &&
         std::none_of(path.begin(), path.end(), [](const auto& one) { return one == ".."; });
}

// What is wrong with it; empty: nothing. Its files are by name.
std::string fault_of(const PointManifest& manifest) {
  if (manifest.parts < 1 || manifest.parts > static_cast<int>(kRanksMax)) {
    return fmt::format("says {} parts, of which there are 1 to {}", manifest.parts, kRanksMax);
  }
  const std::string* previous = nullptr;
  for (const PointFile& file : manifest.files) {
    if (!stays_inside(file.name))
      return fmt::format("names {}, which is no file of its folder", in_quotes(file.name));
    if (previous != nullptr && *previous == file.name) return "names " + file.name + " twice";
    previous = &file.name;
  }
  for (int part = 0; part < manifest.parts; ++part) {
    const std::string name = point_part_name(part);
    if (manifest.find(name) == nullptr) return "does not name " + name;
  }
  return "";
}

void sort_files(PointManifest& manifest) {
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const PointFile& a, const PointFile& b) { return a.name < b.name; });
}

}  // namespace

const PointFile* PointManifest::find(std::string_view name) const {
  const auto found = std::lower_bound(
      files.begin(), files.end(), name,
      [](const PointFile& file, std::string_view wanted) { return file.name < wanted; });
  return found != files.end() && found->name == name ? &*found : nullptr;
}

std::string point_part_name(int part) { return fmt::format("recovery/part_{}.safetensors", part); }

Error damaged_point(const std::string& path, std::string_view what) {
  return {ErrorCode::kCorruption,
          fmt::format("{}: {}; an older recovery point is needed", path, what)};
}

Result<std::string> write_point_manifest(const std::string& folder, PointManifest manifest) {
  sort_files(manifest);
  const std::string path = folder + kManifest;
  if (const std::string fault = fault_of(manifest); !fault.empty()) {
    return Error{ErrorCode::kInternal, path + ": " + fault};
  }
  auto files = nlohmann::ordered_json::object();
  for (const PointFile& file : manifest.files) files[file.name] = file.sha256;
  const nlohmann::ordered_json json = {{"policy_version", number(manifest.version)},
                                       {"weights_sha256", manifest.weights_sha256},
                                       {"parts", manifest.parts},
                                       {"files", files}};
  // Digests may have come from other ranks, and be no text.
  const std::string text = to_text(json, {.indent = 2, .replaces_invalid = true}) + "\n";
  if (text.size() > kManifestBytesMax) {
    return Error{ErrorCode::kInternal,
                 fmt::format("{}: would be longer than {} bytes", path, kManifestBytesMax)};
  }
  if (Status s = write_file(path, text); !s) return s.error();
  return sha256_of(text);
}

Result<PointManifest> read_point_manifest(const std::string& folder, const std::string& sha256) {
  const std::string path = folder + kManifest;
  const auto text = read_file(path, kManifestBytesMax);
  if (!text) return damaged_point(path, "cannot be read");
  if (sha256_of(*text) != sha256) {
    return damaged_point(path, "is not the manifest that the store knows");
  }
  const auto json = parse_json(*text);
  const auto has = [&json](const char* key, auto is_kind) {
    return json.is_object() && json.contains(key) && (json[key].*is_kind)();
  };
  using Json = nlohmann::json;
  if (!has("files", &Json::is_object)) return damaged_point(path, "names no files");
  if (!has("policy_version", &Json::is_number_unsigned) ||
      !has("weights_sha256", &Json::is_string) || !has("parts", &Json::is_number_unsigned)) {
    return damaged_point(path, "does not say which version it is of, and in how many parts");
  }
  PointManifest manifest;
  manifest.version = PolicyVersion{json["policy_version"].get<uint64_t>()};
  manifest.weights_sha256 = json["weights_sha256"].get<std::string>();
  manifest.parts = static_cast<int>(
      std::min(json["parts"].get<uint64_t>(), static_cast<uint64_t>(kRanksMax) + 1));
  for (const auto& [name, digest] : json["files"].items()) {
    if (!digest.is_string()) return damaged_point(path, "has no digest of " + in_quotes(name));
    manifest.files.push_back({name, digest.get<std::string>()});
  }
  sort_files(manifest);
  if (const std::string fault = fault_of(manifest); !fault.empty()) {
    return damaged_point(path, fault);
  }
  return manifest;
}

}  // namespace troupe::model
