// Values of a job as texts, in the form that a job file has them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster/jobs/job_keys.h"
#include "schemas/job.h"

namespace troupe::cluster {

// The shortest digits that give the number back; never those of an integer.
std::string to_text(double value);

// As a TOML string.
std::string in_quotes(std::string_view text);

template <class Texts>
std::string joined(const Texts& texts, std::string_view separator = ", ") {
  std::string all;
  for (const auto& text : texts) {
    if (!all.empty()) all += separator;
    all += text;
  }
  return all;
}

// Letters, digits, '-', '_' and '.', of which none comes first.
bool is_name(std::string_view text);

// A key that is no bare one is in quotes.
std::string in_key_form(const std::string& key);

// The value as TOML; nothing when an optional key is not set.
std::optional<std::string> value_text(const Slot& slot, JobSpec& job);
std::string setting_text(const SettingValue& value);

}  // namespace troupe::cluster
