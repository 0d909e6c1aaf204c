#include "cluster/jobs/job_paths.h"

#include <algorithm>

#include "cluster/jobs/job_keys.h"

namespace troupe::cluster {
namespace {

constexpr std::string_view kScheme = "sha256:";
constexpr size_t kDigits = 64;
constexpr size_t kFileNameBytesMax = 255;

}  // namespace

std::string text_of(const ContentReference& reference) {
  return std::string(kScheme) + reference.sha256 + "/" + reference.name;
}

bool is_sha256(std::string_view text) {
  return text.size() == kDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_file_name(std::string_view text) {
  return !text.empty() && text.size() <= kFileNameBytesMax && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return c != '/' && byte >= 0x20 && byte != 0x7f;
         });
}

std::optional<ContentReference> parse_reference(std::string_view text) {
  if (!text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  if (text.size() <= kDigits || text[kDigits] != '/') return std::nullopt;
  ContentReference reference{.sha256 = std::string(text.substr(0, kDigits)),
                             .name = std::string(text.substr(kDigits + 1))};
  if (!is_sha256(reference.sha256) || !is_file_name(reference.name)) return std::nullopt;
  return reference;
}

void for_each_path(JobSpec& job,
                   const std::function<void(std::string_view key, std::string& path)>& visit) {
  for (const Key& key : job_keys()) {
    if (!key.is_path) continue;
    if (const auto* one = std::get_if<std::string& (*)(JobSpec&)>(&key.slot)) {
      if (std::string& path = (*one)(job); !path.empty()) visit(key.path, path);
    } else if (const auto* list = std::get_if<std::vector<std::string>& (*)(JobSpec&)>(&key.slot)) {
      for (std::string& path : (*list)(job)) {
        if (!path.empty()) visit(key.path, path);
      }
    }
  }
}

std::vector<ContentReference> content_of(JobSpec job) {
  std::vector<ContentReference> all;
  for_each_path(job, [&all](std::string_view, const std::string& path) {
    auto reference = parse_reference(path);
    if (reference && std::find(all.begin(), all.end(), *reference) == all.end()) {
      all.push_back(std::move(*reference));
    }
  });
  return all;
}

}  // namespace troupe::cluster
