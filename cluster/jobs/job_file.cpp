#include "cluster/jobs/job_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "actors/verifier/verifier_table.h"
#include "cluster/jobs/job_checks.h"
#include "cluster/jobs/job_keys.h"
#include "cluster/jobs/job_text.h"
#include "cluster/jobs/toml_type.h"
#include "cluster/monitor/text.h"
#include "model/formats/file.h"
#include "schemas/bounds.h"
#include "schemas/control.h"
#include "schemas/hash.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr size_t kJobFileBytesMax = 1 << 20;

std::string wanted(const Slot& slot) {
  return std::visit(
      Overloaded{
          [](bool& (*)(JobSpec&)) { return "true or false"; },
          [](int64_t& (*)(JobSpec&)) { return "an integer"; },
          [](uint64_t& (*)(JobSpec&)) { return "an integer that is not negative"; },
          [](double& (*)(JobSpec&)) { return "a number"; },
          [](std::string& (*)(JobSpec&)) { return "a string"; },
          [](std::optional<double>& (*)(JobSpec&)) { return "a number"; },
          [](std::vector<double>& (*)(JobSpec&)) { return "a list of numbers"; },
          [](std::vector<std::string>& (*)(JobSpec&)) { return "a string or a list of strings"; },
          [](Betas (*)(JobSpec&)) { return "a list of two numbers"; },
      },
      slot);
}

std::optional<double> number_in(const toml::node& node) {
  if (const auto* integer = node.as_integer()) return static_cast<double>(integer->get());
  if (const auto* floating = node.as_floating_point()) return floating->get();
  return std::nullopt;
}

std::optional<std::vector<double>> numbers_in(const toml::node& node) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<double> numbers;
  for (const toml::node& element : *array) {
    const auto number = number_in(element);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<std::vector<std::string>> strings_in(const toml::node& node) {
  if (const auto* string = node.as_string()) return std::vector<std::string>{string->get()};
  const toml::array* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> strings;
  for (const toml::node& element : *array) {
    const auto* string = element.as_string();
    if (string == nullptr) return std::nullopt;
    strings.push_back(string->get());
  }
  return strings;
}

std::optional<SettingValue> setting_in(const toml::node& node) {
  if (const auto* truth = node.as_boolean()) return SettingValue(truth->get());
  if (const auto number = number_in(node)) return SettingValue(*number);
  if (const auto* text = node.as_string()) return SettingValue(text->get());
  if (auto texts = strings_in(node)) return SettingValue(*std::move(texts));
  return std::nullopt;
}

template <class Target, class Value>
bool store(Target& target, std::optional<Value> value) {
  if (value) target = *std::move(value);
  return value.has_value();
}

// False when the value has another type than the key.
bool fill(const Slot& slot, const toml::node& node, JobSpec& job) {
  return std::visit(
      Overloaded{
          [&](bool& (*get)(JobSpec&)) { return store(get(job), node.value_exact<bool>()); },
          [&](int64_t& (*get)(JobSpec&)) { return store(get(job), node.value_exact<int64_t>()); },
          [&](uint64_t& (*get)(JobSpec&)) {
            const auto value = node.value_exact<int64_t>();
            if (value && *value >= 0) get(job) = static_cast<uint64_t>(*value);
            return value && *value >= 0;
          },
          [&](double& (*get)(JobSpec&)) { return store(get(job), number_in(node)); },
          [&](std::string& (*get)(JobSpec&)) {
            return store(get(job), node.value_exact<std::string>());
          },
          [&](std::optional<double>& (*get)(JobSpec&)) { return store(get(job), number_in(node)); },
          [&](std::vector<double>& (*get)(JobSpec&)) { return store(get(job), numbers_in(node)); },
          [&](std::vector<std::string>& (*get)(JobSpec&)) {
            return store(get(job), strings_in(node));
          },
          [&](Betas (*get)(JobSpec&)) {
            const auto numbers = numbers_in(node);
            if (!numbers || numbers->size() != 2) return false;
            get(job).beta1 = (*numbers)[0];
            get(job).beta2 = (*numbers)[1];
            return true;
          },
      },
      slot);
}

// One source of keys: the file, or one --set.
class Reader {
 public:
  // `to_send`: where relative paths go, of a job for another host.
  Reader(std::string origin, std::vector<FileToSend>* to_send, JobSpec& job)
      : origin_(std::move(origin)), to_send_(to_send), job_(job) {
    folder_ = std::filesystem::absolute(origin_).parent_path();
  }

  Status read_file_text(std::string_view text) {
    const auto table = parse_toml(text);
    if (!table) return table.error();
    override_ = {};
    if (const toml::table* policy = (*table)["policy"].as_table();
        policy != nullptr && policy->contains("config") && policy->contains("model")) {
      return at(*policy->get("model"), "set exactly one of policy.config and policy.model");
    }
    for (const auto& [key, node] : *table) {
      if (Status status = read_top(std::string(key.str()), node); !status) return status;
    }
    return ok();
  }

  Status read_override(const std::string& text) {
    override_ = text;
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid_argument(fmt::format("--set {}: must be table.key=value", text));
    }
    const std::string path = text.substr(0, equals);
    const toml::table parsed = parse_override_value(path, text.substr(equals + 1));
    const toml::node& value = *parsed.get("value");
    constexpr std::string_view kRewards = "rewards.";
    if (path.compare(0, kRewards.size(), kRewards) != 0) return read_inner(path, value);
    const std::string rest = path.substr(kRewards.size());
    const size_t dot = rest.find('.');
    if (dot == std::string::npos) return read_reward(rest, value);
    return read_reward_key(rest.substr(0, dot), rest.substr(dot + 1), value);
  }

  // Brings what was read of the rewards into the form that their verifiers want, and reads their
  // files. What is wrong with a reward itself is for find_fault to say.
  Status finish_rewards() {
    for (RewardSpec& reward : job_.rewards) {
      const actors::VerifierEntry* entry = actors::find_verifier(reward.verifier);
      if (entry == nullptr) continue;
      for (RewardSetting& setting : reward.settings) {
        const actors::SettingRule* rule = actors::find_rule(*entry, setting.key);
        if (rule == nullptr) continue;
        setting.value = actors::in_form_of(*rule, std::move(setting.value));
        auto* paths = std::get_if<std::vector<std::string>>(&setting.value);
        if (rule->type != actors::SettingType::kFiles || paths == nullptr) continue;
        if (Status status = read_files(reward, setting.key, *paths); !status) return status;
      }
    }
    return ok();
  }

  // Relative paths are relative to the file's folder.
  Status finish_paths() {
    Status status = ok();
    for_each_path(job_, [&](std::string_view key, std::string& path) {
      const std::string here = (folder_ / path).lexically_normal().string();
      if (to_send_ == nullptr) path = here;
      if (!status || path.front() == '/') return;
      auto file = file_to_send(here);
      if (!file) {
        status = locate({std::string(key), fmt::format("{}: {}", key, file.error().message)});
        return;
      }
      path = text_of(file->reference);
      const bool is_known =
          std::any_of(to_send_->begin(), to_send_->end(),
                      [&](const FileToSend& one) { return one.reference == file->reference; });
      if (!is_known) to_send_->push_back(std::move(*file));
    });
    return status;
  }

  Error locate(const Fault& fault) const {
    const auto found = places_.find(fault.path);
    return invalid_argument(
        fmt::format("{}: {}", found == places_.end() ? origin_ : found->second, fault.message));
  }

 private:
  // toml++ reports by exception; this is the only place that sees one.
  Result<toml::table> parse_toml(std::string_view text) const try {
    return toml::parse(text, origin_);
  } catch (const toml::parse_error& error) {
    return invalid_argument(fmt::format("{}:{}: not TOML: {}", origin_, error.source().begin.line,
                                        error.description()));
  }

  // Strings need no quotes: a shell has eaten them already.
  toml::table parse_override_value(const std::string& path, const std::string& value) const {
    const Key* key = find_job_key(path);
    const bool is_text =
        (key != nullptr &&
         (std::holds_alternative<std::string& (*)(JobSpec&)>(key->slot) ||
          std::holds_alternative<std::vector<std::string>& (*)(JobSpec&)>(key->slot)));
    const bool is_toml_text =
        !value.empty() && (value[0] == '"' || value[0] == '\'' || value[0] == '[');
    if (!is_text || is_toml_text) {
      // A line break would end the value and start a key of its own.
      if (value.find_first_of("\r\n") == std::string::npos) {
        if (auto table = parse_toml("value = " + value); table) return *std::move(table);
      }
    }
    toml::table table;
    table.insert("value", value);
    return table;
  }

  std::string place(const toml::node& node) const {
    if (!override_.empty()) return "--set " + override_;
    return fmt::format("{}:{}", origin_, node.source().begin.line);
  }

  Error at(const toml::node& node, std::string_view message) const {
    return invalid_argument(fmt::format("{}: {}", place(node), message));
  }

  Error unknown(std::string path, const toml::node& node) const {
    // Of a table that does not exist, the first key says what was meant.
    const toml::node* leaf = &node;
    while (leaf->is_table() && !leaf->as_table()->empty()) {
      const auto first = leaf->as_table()->cbegin();
      path += fmt::format(".{}", first->first.str());
      leaf = &first->second;
    }
    std::string advice = advice_for_unknown_key(path);
    if (advice.empty()) {
      const std::string table = path.substr(0, path.find('.'));
      std::vector<std::string_view> names;
      for (const Key& key : job_keys()) {
        if (key.table() == table) names.push_back(key.name());
      }
      advice = names.empty() ? "the tables are " + joined(job_tables())
                             : fmt::format("[{}] has {}", table, joined(names));
    }
    return at(*leaf, fmt::format("unknown key {}; {}", path, advice));
  }

  Status read_top(const std::string& name, const toml::node& node) {
    if (find_job_key(name) != nullptr) return read_key(name, node);
    const auto tables = job_tables();
    if (std::find(tables.begin(), tables.end(), name) == tables.end()) return unknown(name, node);
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return at(node, fmt::format("{} must be a table, not {}", name, type_name(node)));
    }
    for (const auto& [key, value] : *table) {
      const std::string inner(key.str());
      const Status status =
          name == "rewards" ? read_reward(inner, value) : read_inner(name + "." + inner, value);
      if (!status) return status;
    }
    return ok();
  }

  // A key, or a table of keys within a table.
  Status read_inner(const std::string& path, const toml::node& node) {
    const toml::table* table = node.as_table();
    const auto keys = job_keys();
    const bool has_keys = std::any_of(
        keys.begin(), keys.end(), [&](const Key& key) { return key.path.starts_with(path + "."); });
    if (table == nullptr || !has_keys) return read_key(path, node);
    for (const auto& [key, value] : *table) {
      if (Status s = read_inner(path + "." + std::string(key.str()), value); !s) return s;
    }
    return ok();
  }

  Status read_key(const std::string& path, const toml::node& node) {
    const Key* key = find_job_key(path);
    if (key == nullptr) return unknown(path, node);
    if (!fill(key->slot, node, job_)) {
      return at(node,
                fmt::format("{} must be {}, not {}", path, wanted(key->slot), value_text(node)));
    }
    if (Finding fault = check_key(*key, job_)) return at(node, fault->message);
    // A later source may choose the other of the two; within one file both are refused.
    if (path == "policy.model" && !job_.policy.model.empty()) job_.policy.config.clear();
    if (path == "policy.config" && !job_.policy.config.empty()) job_.policy.model.clear();
    places_[path] = place(node);
    return ok();
  }

  Status read_reward(const std::string& name, const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return at(node, fmt::format("rewards.{} must be a table such as {{ verifier = \"math\", "
                                  "weight = 1.0 }}, not {}",
                                  name, type_name(node)));
    }
    for (const auto& [key, value] : *table) {
      const Status status = read_reward_key(name, std::string(key.str()), value);
      if (!status) return status;
    }
    reward(name);  // An empty table is a reward without a verifier, and is refused as such.
    places_["rewards." + name] = place(node);
    return ok();
  }

  Status read_reward_key(const std::string& name, const std::string& key, const toml::node& node) {
    const std::string path = fmt::format("rewards.{}.{}", name, key);
    places_["rewards." + name] = places_[path] = place(node);
    if (key == "verifier") {
      const auto* string = node.as_string();
      if (string == nullptr) {
        return at(node, fmt::format("{} must be a string, not {}", path, type_name(node)));
      }
      reward(name).verifier = string->get();
      return ok();
    }
    if (key == "weight") {
      const auto number = number_in(node);
      if (!number)
        return at(node, fmt::format("{} must be a number, not {}", path, type_name(node)));
      reward(name).weight = *number;
      return ok();
    }
    // Which settings there are is known once the verifier is.
    auto value = setting_in(node);
    if (!value) {
      return at(node, fmt::format("{} must be true or false, a number, a string or a list of "
                                  "strings, not {}",
                                  path, type_name(node)));
    }
    auto& settings = reward(name).settings;
    auto found =
        std::lower_bound(settings.begin(), settings.end(), key,
                         [](const RewardSetting& a, const std::string& b) { return a.key < b; });
    if (found == settings.end() || found->key != key) {
      found = settings.insert(found, RewardSetting{.key = key});
    }
    found->value = *std::move(value);
    return ok();
  }

  Status read_files(RewardSpec& reward, const std::string& key, std::vector<std::string>& paths) {
    const std::string where = fmt::format("rewards.{}.{}", reward.name, key);
    const auto fault = [&](std::string message) {
      return locate({where, fmt::format("{}: {}", where, message)});
    };
    if (paths.size() > kRewardFilesMax) {
      return fault(fmt::format("{} files; at most {} are allowed", paths.size(), kRewardFilesMax));
    }
    for (std::string& path : paths) {
      path = (folder_ / path).lexically_normal().string();
      const std::string name = std::filesystem::path(path).filename().string();
      if (!is_name(name)) {
        return fault(fmt::format("{} is no file name; use letters, digits, '-', '_' and '.'",
                                 in_quotes(name)));
      }
      for (const RewardFile& other : reward.files) {
        if (other.name == name) return fault(in_quotes(name) + " is there twice");
      }
      auto content = model::read_file(path, kRewardFileBytesMax);
      if (!content) return fault(content.error().message);
      reward.files.push_back({name, *std::move(content)});
    }
    return ok();
  }

  // Kept in byte order of names: rewards are added in this order, so it must not depend on how the
  // file was written.
  RewardSpec& reward(const std::string& name) {
    auto& rewards = job_.rewards;
    auto found =
        std::lower_bound(rewards.begin(), rewards.end(), name,
                         [](const RewardSpec& a, const std::string& b) { return a.name < b; });
    if (found == rewards.end() || found->name != name) {
      found = rewards.insert(found, RewardSpec{.name = name});
    }
    return *found;
  }

  Result<FileToSend> file_to_send(const std::string& path) const {
    constexpr std::string_view kElsewhere =
        "copy it to the daemon's host, and name it by its path there, which begins with /";
    if (std::filesystem::is_directory(path)) {
      return invalid_argument(fmt::format(
          "{} is a folder of this host, and only files travel with a job; {}", path, kElsewhere));
    }
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    if (!error && bytes > kContentBytesMax) {
      return invalid_argument(
          fmt::format("{} has {}, and a file that travels with a job has at most {}; {}", path,
                      byte_count(bytes), byte_count(kContentBytesMax), kElsewhere));
    }
    const auto content = model::read_file(path, kContentBytesMax);
    if (!content) return content.error();
    const std::string name = std::filesystem::path(path).filename().string();
    if (!is_file_name(name)) return invalid_argument(in_quotes(path) + " is no name of a file");
    return FileToSend{
        .path = path,
        .reference = {.sha256 = sha256_hex(std::as_bytes(std::span(*content))), .name = name},
        .bytes = content->size()};
  }

  std::string origin_;
  std::vector<FileToSend>* to_send_;
  JobSpec& job_;
  std::filesystem::path folder_;
  std::string override_{};                       // Empty while the file is read.
  std::map<std::string, std::string> places_{};  // Where each key was set last.
};

Result<JobSpec> read_job(std::string_view text, const std::string& origin,
                         std::span<const std::string> overrides, std::vector<FileToSend>* to_send) {
  JobSpec job;
  Reader reader(origin, to_send, job);
  if (Status status = reader.read_file_text(text); !status) return status.error();
  for (const std::string& override_text : overrides) {
    if (Status status = reader.read_override(override_text); !status) return status.error();
  }
  if (Status status = reader.finish_rewards(); !status) return status.error();
  if (Finding fault = find_fault(job)) return reader.locate(*fault);
  if (Status status = reader.finish_paths(); !status) return status.error();
  return job;
}

// Keys and values may hold line breaks, a message may not.
Error in_one_line(Error error) {
  for (char& c : error.message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return error;
}

}  // namespace

Result<JobSpec> parse_job(std::string_view text, const std::string& origin,
                          std::span<const std::string> overrides) {
  auto job = read_job(text, origin, overrides, nullptr);
  if (!job) return in_one_line(job.error());
  return job;
}

Result<JobSpec> load_job(const std::string& path, std::span<const std::string> overrides) {
  const auto text = model::read_file(path, kJobFileBytesMax);
  if (!text) return text.error();
  return parse_job(*text, path, overrides);
}

Result<JobToSend> load_job_to_send(const std::string& path,
                                   std::span<const std::string> overrides) {
  const auto text = model::read_file(path, kJobFileBytesMax);
  if (!text) return text.error();
  JobToSend sent;
  auto job = read_job(*text, path, overrides, &sent.files);
  if (!job) return in_one_line(job.error());
  sent.job = std::move(*job);
  return sent;
}

Status check_paths(const JobSpec& job) {
  JobSpec copy = job;  // Its paths may be written to.
  Status status = ok();
  for_each_path(copy, [&status](std::string_view key, const std::string& path) {
    if (!status || path.front() == '/' || parse_reference(path)) return;
    status = invalid_argument(
        fmt::format("{} is {}, and a daemon's files are named by paths that begin with /; files of "
                    "the user's own are sent ahead of their job",
                    key, in_quotes(path)));
  });
  return status;
}

Status validate(const JobSpec& job) {
  if (Finding fault = find_fault(job)) return invalid_argument("job: " + fault->message);
  return ok();
}

}  // namespace troupe::cluster
