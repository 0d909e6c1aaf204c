// The files that a job names, and how it names those that its user has sent ahead of it: by what is
// in them, as "sha256:DIGEST/NAME".
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/job.h"

namespace troupe::cluster {

struct ContentReference {
  std::string sha256{};  // 64 lower-case hexadecimal digits.
  std::string name{};    // Of the file, for people and for what its ending says.
  bool operator==(const ContentReference&) const = default;
};

std::string text_of(const ContentReference& reference);

// Nothing where it is none, e.g. a path.
std::optional<ContentReference> parse_reference(std::string_view text);

bool is_sha256(std::string_view text);
// One that may stand for itself in a folder: no slash, nothing unprintable, neither "." nor "..".
bool is_file_name(std::string_view text);

// Calls visit(key, path) for each path that is set, in the order of the keys.
void for_each_path(JobSpec& job,
                   const std::function<void(std::string_view key, std::string& path)>& visit);

// What a job names of its user's own files, each once.
std::vector<ContentReference> content_of(JobSpec job);

}  // namespace troupe::cluster
