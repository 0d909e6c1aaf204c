#include "actors/verifier/verifier_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "actors/verifier/rewards/rewards.h"
#include "schemas/check.h"
#include "schemas/nearest.h"

namespace troupe::actors {
namespace {

constexpr double kWeightMax = 1e6;

std::string list_of(const std::vector<std::string_view>& texts) {
  return fmt::format("{}", fmt::join(texts, ", "));
}

const char* wanted(SettingType type) {
  switch (type) {
    case SettingType::kFlag:
      return "true or false";
    case SettingType::kNumber:
      return "a number";
    case SettingType::kInteger:
      return "an integer";
    case SettingType::kText:
      return "a string";
    case SettingType::kTexts:
      return "a string or a list of strings";
    case SettingType::kFiles:
      return "a file name or a list of file names";
  }
  return "a value";
}

bool has_type(const SettingRule& rule, const SettingValue& value) {
  switch (rule.type) {
    case SettingType::kFlag:
      return std::holds_alternative<bool>(value);
    case SettingType::kNumber:
      return std::holds_alternative<double>(value);
    case SettingType::kInteger: {
      const double* number = std::get_if<double>(&value);
      return number != nullptr && *number == std::floor(*number);
    }
    case SettingType::kText:
      return std::holds_alternative<std::string>(value);
    case SettingType::kTexts:
    case SettingType::kFiles:
      return std::holds_alternative<std::vector<std::string>>(value);
  }
  return false;
}

// What is wrong with one value, behind its key's name.
std::optional<std::string> find_value_fault(const SettingRule& rule, const SettingValue& value) {
  if (!has_type(rule, value)) return fmt::format("must be {}", wanted(rule.type));
  if (const double* number = std::get_if<double>(&value)) {
    if (*number >= rule.low && *number <= rule.high) return std::nullopt;  // Also refuses NaN.
    return fmt::format("is {}; it must be at least {} and at most {}", *number, rule.low,
                       rule.high);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (rule.allowed.empty()) return std::nullopt;
    if (std::find(rule.allowed.begin(), rule.allowed.end(), *text) != rule.allowed.end()) {
      return std::nullopt;
    }
    return fmt::format("is \"{}\"; it must be one of {}", *text, list_of(rule.allowed));
  }
  return std::nullopt;
}

const VerifierEntry& entry_of(const RewardSpec& reward) {
  const VerifierEntry* entry = find_verifier(reward.verifier);
  TROUPE_CHECK(entry != nullptr);
  return *entry;
}

}  // namespace

std::span<const VerifierEntry> verifiers() {
  static const VerifierEntry kEntries[] = {
      math_reward(),   code_reward(),       r1_format_reward(), language_reward(),
      length_reward(), repetition_reward(), command_reward(),
  };
  return kEntries;
}

const VerifierEntry* find_verifier(std::string_view name) {
  for (const VerifierEntry& entry : verifiers()) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::vector<std::string> verifier_names() {
  std::vector<std::string> names;
  for (const VerifierEntry& entry : verifiers()) names.emplace_back(entry.name);
  return names;
}

const SettingValue& Settings::value(std::string_view key) const {
  for (const RewardSetting& setting : reward_.settings) {
    if (setting.key == key) return setting.value;
  }
  for (const SettingRule& rule : rules_) {
    if (rule.key == key) return rule.default_value;
  }
  TROUPE_CHECK(!"a verifier asks for a setting that it does not have");
  return rules_.front().default_value;
}

SettingValue in_form_of(const SettingRule& rule, SettingValue value) {
  const bool is_list = rule.type == SettingType::kTexts || rule.type == SettingType::kFiles;
  if (auto* text = std::get_if<std::string>(&value); is_list && text != nullptr) {
    return std::vector<std::string>{std::move(*text)};
  }
  return value;
}

const SettingRule* find_rule(const VerifierEntry& entry, std::string_view key) {
  for (const SettingRule& rule : entry.settings) {
    if (rule.key == key) return &rule;
  }
  return nullptr;
}

std::optional<RewardFault> find_fault(const RewardSpec& reward) {
  const std::string path = "rewards." + reward.name;
  const VerifierEntry* entry = find_verifier(reward.verifier);
  if (entry == nullptr) {
    return RewardFault{
        "verifier",
        fmt::format("{}.verifier is \"{}\"; it must be one of {}", path, reward.verifier,
                    nearest_first_list(reward.verifier, verifier_names()))};
  }
  if (!(reward.weight >= 0 && reward.weight <= kWeightMax)) {
    return RewardFault{"weight", fmt::format("{}.weight is {}; it must be at least 0 and at most "
                                             "{}",
                                             path, reward.weight, kWeightMax)};
  }
  for (const RewardSetting& setting : reward.settings) {
    const SettingRule* rule = find_rule(*entry, setting.key);
    if (rule == nullptr) {
      std::vector<std::string> known = {"verifier", "weight"};
      for (const SettingRule& one : entry->settings) known.emplace_back(one.key);
      const auto near = nearest_first(setting.key, known);
      return RewardFault{
          setting.key,
          fmt::format("unknown key {}.{}; did you mean {}? A reward by {} has {}", path,
                      setting.key, near.front(), entry->name, fmt::join(known, ", "))};
    }
    if (const auto fault = find_value_fault(*rule, setting.value)) {
      return RewardFault{setting.key, fmt::format("{}.{} {}", path, setting.key, *fault)};
    }
  }
  for (const RewardFile& file : reward.files) {
    const bool is_name = !file.name.empty() && file.name.front() != '.' &&
                         std::all_of(file.name.begin(), file.name.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
                         });
    if (!is_name) return RewardFault{"files", fmt::format("{}.files: a bad file name", path)};
  }
  if (entry->find_fault) {
    if (auto fault = entry->find_fault(Settings(entry->settings, reward))) {
      return RewardFault{"", fmt::format("{}: {}", path, *fault)};
    }
  }
  return std::nullopt;
}

Status check_rewards(const std::vector<RewardSpec>& rewards) {
  if (rewards.empty()) {
    return invalid_argument(
        "[rewards] is empty; add one, e.g. accuracy = { verifier = \"math\", weight = 1.0 }");
  }
  for (const RewardSpec& reward : rewards) {
    if (auto fault = find_fault(reward)) return invalid_argument(std::move(fault->message));
  }
  return ok();
}

size_t accuracy_part(const std::vector<RewardSpec>& rewards) {
  for (const std::string_view verifier : {"math", "code"}) {
    for (size_t i = 0; i < rewards.size(); ++i) {
      if (rewards[i].verifier == verifier) return i;
    }
  }
  return 0;
}

model::WantedReference wanted_reference(const std::vector<RewardSpec>& rewards) {
  return entry_of(rewards.at(accuracy_part(rewards))).reference;
}

Status check_gold(const std::vector<RewardSpec>& rewards, std::string_view gold) {
  const RewardSpec& accuracy = rewards.at(accuracy_part(rewards));
  const VerifierEntry& entry = entry_of(accuracy);
  return entry.check_gold ? entry.check_gold(Settings(entry.settings, accuracy), gold) : ok();
}

std::optional<BoxLevel> needed_box_level(const std::vector<RewardSpec>& rewards) {
  std::optional<BoxLevel> needed;
  for (const RewardSpec& reward : rewards) {
    const VerifierEntry& entry = entry_of(reward);
    if (!entry.box_level) continue;
    const auto level = entry.box_level(Settings(entry.settings, reward));
    if (level && (!needed || *level > *needed)) needed = level;
  }
  return needed;
}

double seconds_max(const std::vector<RewardSpec>& rewards) {
  double seconds = 0;
  for (const RewardSpec& reward : rewards) {
    const VerifierEntry& entry = entry_of(reward);
    if (entry.seconds_max) seconds += entry.seconds_max(Settings(entry.settings, reward));
  }
  return seconds;
}

Result<std::vector<TrustedProgram>> find_trusted_programs(
    const std::vector<RewardSpec>& rewards, const std::vector<TrustedProgram>& known) {
  std::vector<TrustedProgram> found;
  for (const RewardSpec& reward : rewards) {
    const VerifierEntry& entry = entry_of(reward);
    if (find_rule(entry, kTrustedKey) == nullptr) continue;
    const std::string& name = Settings(entry.settings, reward).text(kTrustedKey);
    if (name.empty()) continue;
    const auto program = std::find_if(known.begin(), known.end(),
                                      [&](const TrustedProgram& one) { return one.name == name; });
    if (program == known.end()) {
      std::vector<std::string> names;
      for (const TrustedProgram& one : known) names.push_back(one.name);
      return invalid_argument(fmt::format(
          "rewards.{}.trusted is \"{}\", which is no program that this head trusts; it has {}. "
          "Whoever runs it adds one with --trusted-verifier NAME=PROGRAM",
          reward.name, name, names.empty() ? "none" : nearest_first_list(name, names)));
    }
    const bool is_there = std::any_of(found.begin(), found.end(),
                                      [&](const TrustedProgram& one) { return one.name == name; });
    if (!is_there) found.push_back(*program);
  }
  return found;
}

}  // namespace troupe::actors
