#include "cluster/jobs/specification.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "actors/verifier/verifier_table.h"
#include "cluster/jobs/job_keys.h"
#include "cluster/jobs/job_text.h"
#include "schemas/hash.h"

namespace troupe::cluster {
namespace {

// What is set to something else than its default: a setting that a later version adds does not
// change the hash of a job that does not use it. Of files, the contents count.
std::vector<RewardSetting> settings_in_hash(const RewardSpec& reward) {
  std::vector<RewardSetting> settings = reward.settings;
  const actors::VerifierEntry* entry = actors::find_verifier(reward.verifier);
  std::erase_if(settings, [&](const RewardSetting& setting) {
    const auto* rule = entry == nullptr ? nullptr : actors::find_rule(*entry, setting.key);
    return rule != nullptr &&
           (rule->type == actors::SettingType::kFiles || rule->default_value == setting.value);
  });
  return settings;
}

}  // namespace

std::string specification_hash(const JobSpec& job) {
  JobSpec copy = job;  // Slots give references that may be written to.
  std::string text = "troupe-job-1\n";
  for (const Key& key : job_keys()) {
    // Where files lie does not matter; what is in them has a digest of its own.
    if (!key.is_in_hash || key.is_path) continue;
    const auto value = value_text(key.slot, copy);
    // Jobs that do not name their columns have the hash that they had before there were names.
    if (!value && key.path.starts_with("data.columns.")) continue;
    text += fmt::format("{}={}\n", key.path, value.value_or(""));
  }
  for (const RewardSpec& reward : job.rewards) {
    text += fmt::format("rewards.{}={},{}\n", in_quotes(reward.name), in_quotes(reward.verifier),
                        to_text(reward.weight));
    for (const RewardSetting& setting : settings_in_hash(reward)) {
      text += fmt::format("rewards.{}.{}={}\n", in_quotes(reward.name), in_quotes(setting.key),
                          setting_text(setting.value));
    }
    for (const RewardFile& file : reward.files) {
      text += fmt::format("rewards.{}.files.{}={}\n", in_quotes(reward.name), in_quotes(file.name),
                          sha256_hex(std::as_bytes(std::span(file.content))));
    }
  }
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

std::string differences(const JobSpec& job, const JobSpec& there) {
  constexpr size_t kShownMax = 6;
  JobSpec a = job, b = there;
  std::vector<std::string> found;
  for (const Key& key : job_keys()) {
    if (!key.is_in_hash || key.is_path) continue;
    const std::string here = value_text(key.slot, a).value_or("not set");
    const std::string other = value_text(key.slot, b).value_or("not set");
    if (here != other)
      found.push_back(fmt::format("{} is {}, there it is {}", key.path, here, other));
  }
  const auto text_of = [](const JobSpec& of, const std::string& name) -> std::string {
    for (const RewardSpec& reward : of.rewards) {
      if (reward.name != name) continue;
      std::string text = fmt::format("{{ verifier = {}, weight = {}", in_quotes(reward.verifier),
                                     to_text(reward.weight));
      for (const RewardSetting& setting : settings_in_hash(reward)) {
        text += fmt::format(", {} = {}", in_key_form(setting.key), setting_text(setting.value));
      }
      for (const RewardFile& file : reward.files) {
        text += fmt::format(", {} = {:.12}", in_key_form(file.name),
                            sha256_hex(std::as_bytes(std::span(file.content))));
      }
      return text + " }";
    }
    return "not set";
  };
  std::vector<std::string> names;
  for (const JobSpec* of : {&job, &there}) {
    for (const RewardSpec& reward : of->rewards) names.push_back(reward.name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) {
    const std::string here = text_of(job, name), other = text_of(there, name);
    if (here != other) {
      found.push_back(fmt::format("rewards.{} is {}, there it is {}", name, here, other));
    }
  }
  if (found.empty()) return "it was begun by another version of this program";
  const size_t more = found.size() > kShownMax ? found.size() - kShownMax : 0;
  found.resize(found.size() - more);
  return joined(found, "; ") + (more > 0 ? fmt::format("; and {} more keys differ", more) : "");
}

}  // namespace troupe::cluster
