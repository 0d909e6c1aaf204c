#include "cluster/jobs/job_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <variant>
#include <vector>

#include "actors/verifier/verifier_table.h"
#include "cluster/jobs/job_file.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr size_t kNameBytesMax = 100;

std::string verifiers_help() {
  std::string text =
      "# A reward has verifier, weight (the reward is the sum of weight * value, a "
      "value is 0 to 1)\n# and the keys of its verifier:\n";
  for (const actors::VerifierEntry& entry : actors::verifiers()) {
    text += fmt::format("#   {}: {}\n", entry.name, entry.comment);
    for (const actors::SettingRule& rule : entry.settings) {
      const auto* name = std::get_if<std::string>(&rule.default_value);
      const auto* list = std::get_if<std::vector<std::string>>(&rule.default_value);
      const auto* number = std::get_if<double>(&rule.default_value);
      const bool is_unset = (name != nullptr && name->empty()) ||
                            (list != nullptr && list->empty()) ||
                            (number != nullptr && *number < rule.low);
      text += fmt::format(
          "#     {:<32} {}{}\n",
          fmt::format("{} = {}", rule.key, is_unset ? "..." : setting_text(rule.default_value)),
          rule.comment, rule.allowed.empty() ? "" : ": " + joined(rule.allowed, " | "));
    }
  }
  return text;
}

}  // namespace

std::string to_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  // TOML tells 1 from 1.0.
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::optional<std::string> value_text(const Slot& slot, JobSpec& job) {
  using Text = std::optional<std::string>;
  const auto list = [](const auto& values, auto to_string) {
    std::vector<std::string> texts;
    for (const auto& value : values) texts.push_back(to_string(value));
    return "[" + joined(texts) + "]";
  };
  return std::visit(
      Overloaded{
          [&](bool& (*get)(JobSpec&)) -> Text { return get(job) ? "true" : "false"; },
          [&](int64_t& (*get)(JobSpec&)) -> Text { return std::to_string(get(job)); },
          [&](uint64_t& (*get)(JobSpec&)) -> Text { return std::to_string(get(job)); },
          [&](double& (*get)(JobSpec&)) -> Text { return to_text(get(job)); },
          [&](std::string& (*get)(JobSpec&)) -> Text {
            return get(job).empty() ? Text{} : in_quotes(get(job));
          },
          [&](std::optional<double>& (*get)(JobSpec&)) -> Text {
            return get(job) ? Text{to_text(*get(job))} : Text{};
          },
          [&](std::vector<double>& (*get)(JobSpec&)) -> Text {
            return get(job).empty() ? Text{} : list(get(job), to_text);
          },
          [&](std::vector<std::string>& (*get)(JobSpec&)) -> Text {
            const auto& values = get(job);
            if (values.empty()) return Text{};
            return values.size() == 1 ? in_quotes(values[0]) : list(values, in_quotes);
          },
          [&](Betas (*get)(JobSpec&)) -> Text {
            return fmt::format("[{}, {}]", to_text(get(job).beta1), to_text(get(job).beta2));
          },
      },
      slot);
}

std::string setting_text(const SettingValue& value) {
  return std::visit(Overloaded{
                        [](bool truth) { return std::string(truth ? "true" : "false"); },
                        [](double number) {
                          return number == std::floor(number) && std::fabs(number) < 1e15
                                     ? std::to_string(static_cast<int64_t>(number))
                                     : to_text(number);
                        },
                        [](const std::string& text) { return in_quotes(text); },
                        [](const std::vector<std::string>& texts) {
                          std::vector<std::string> quoted;
                          for (const std::string& text : texts) quoted.push_back(in_quotes(text));
                          return "[" + joined(quoted) + "]";
                        },
                    },
                    value);
}

std::string in_key_form(const std::string& key) {
  return is_name(key) && key.find('.') == std::string::npos ? key : in_quotes(key);
}

std::string to_toml(const JobSpec& job) {
  JobSpec copy = job;
  std::string text;
  std::string_view table;
  const auto add_rewards = [&] {
    text += "\n[rewards]\n";
    for (const RewardSpec& reward : job.rewards) {
      text += fmt::format("{} = {{ verifier = {}, weight = {}", reward.name,
                          in_quotes(reward.verifier), to_text(reward.weight));
      for (const RewardSetting& setting : reward.settings) {
        text += fmt::format(", {} = {}", in_key_form(setting.key), setting_text(setting.value));
      }
      text += " }\n";
    }
    text += verifiers_help();
  };
  for (const Key& key : job_keys()) {
    if (key.table() != table) {
      table = key.table();
      if (table == "schedule") add_rewards();
      text += fmt::format("\n[{}]\n", table);
    }
    const auto value = value_text(key.slot, copy);
    const std::string line =
        value ? fmt::format("{} = {}", key.name(), *value) : fmt::format("# {} =", key.name());
    text += fmt::format("{:<40} # {}\n", line, key.comment);
  }
  return text;
}

}  // namespace troupe::cluster
