#include "cluster/jobs/job_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "actors/verifier/verifier_table.h"
#include "cluster/jobs/job_keys.h"
#include "model/formats/file.h"
#include "schemas/bounds.h"
#include "schemas/hash.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr size_t kJobFileBytesMax = 1 << 20;
constexpr size_t kNameBytesMax = 100;
constexpr size_t kRewardsMax = 16;
constexpr size_t kColdStartFilesMax = 64;
constexpr size_t kRewardFilesBytesMax = 1 << 20;  // Of all rewards together: they travel.

// A fault of one key; where the key was written is added by whoever knows.
struct Fault {
  std::string path{};
  std::string message{};
};
using Finding = std::optional<Fault>;

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

template <class Texts>
std::string joined(const Texts& texts, std::string_view separator = ", ") {
  std::string all;
  for (const auto& text : texts) {
    if (!all.empty()) all += separator;
    all += text;
  }
  return all;
}

// ---- Values: what a key may be, whoever set it.

Finding check_number(const Key& key, double value) {
  const Range& range = key.range;
  const bool is_low = range.is_open_below ? value <= range.low : value < range.low;
  if (!is_low && value <= range.high) return {};  // Also refuses NaN.
  const auto bound = [](double b) {
    return b == std::floor(b) && std::fabs(b) < 1e15 ? std::to_string(static_cast<int64_t>(b))
                                                     : to_text(b);
  };
  return Fault{
      std::string(key.path),
      fmt::format("{} is {}; it must be {} {} and at most {}", key.path, bound(value),
                  range.is_open_below ? "above" : "at least", bound(range.low), bound(range.high))};
}

Finding check_string(const Key& key, const std::string& value) {
  if (key.allowed.empty()) return {};
  if (std::find(key.allowed.begin(), key.allowed.end(), value) != key.allowed.end()) return {};
  return Fault{std::string(key.path), fmt::format("{} is {}; it must be one of {}", key.path,
                                                  in_quotes(value), joined(key.allowed))};
}

Finding check_key(const Key& key, JobSpec& job) {
  const auto check_numbers = [&key](std::initializer_list<double> values) -> Finding {
    for (double value : values) {
      if (Finding fault = check_number(key, value)) return fault;
    }
    return {};
  };
  return std::visit(
      Overloaded{
          [](bool& (*)(JobSpec&)) -> Finding { return {}; },
          [](uint64_t& (*)(JobSpec&)) -> Finding { return {}; },
          [&](int64_t& (*slot)(JobSpec&)) {
            return check_number(key, static_cast<double>(slot(job)));
          },
          [&](double& (*slot)(JobSpec&)) { return check_number(key, slot(job)); },
          [&](std::string& (*slot)(JobSpec&)) { return check_string(key, slot(job)); },
          [&](std::optional<double>& (*slot)(JobSpec&)) -> Finding {
            return slot(job) ? check_number(key, *slot(job)) : Finding{};
          },
          [&](std::vector<double>& (*slot)(JobSpec&)) -> Finding {
            for (double value : slot(job)) {
              if (Finding fault = check_number(key, value)) return fault;
            }
            return {};
          },
          [](std::vector<std::string>& (*)(JobSpec&)) -> Finding { return {}; },
          [&](Betas (*slot)(JobSpec&)) {
            return check_numbers({slot(job).beta1, slot(job).beta2});
          },
      },
      key.slot);
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

Finding check_rewards(const JobSpec& job) {
  if (job.rewards.size() > kRewardsMax) {
    return Fault{"rewards", fmt::format("rewards has {} parts; at most {} are allowed",
                                        job.rewards.size(), kRewardsMax)};
  }
  size_t bytes = 0;
  for (const RewardSpec& reward : job.rewards) {
    const std::string path = "rewards." + reward.name;
    if (!is_name(reward.name) || reward.name.find('.') != std::string::npos) {
      return Fault{
          path, fmt::format("{} is not a name; use letters, digits, '-' and '_'", in_quotes(path))};
    }
    if (auto fault = actors::find_fault(reward)) {
      return Fault{fault->key.empty() ? path : path + "." + fault->key, std::move(fault->message)};
    }
    for (const RewardFile& file : reward.files) bytes += file.content.size();
    if (bytes > kRewardFilesBytesMax) {
      return Fault{path + ".files",
                   fmt::format("the files of the rewards have more than {} bytes; they travel with "
                               "the job, so keep large ones out of it",
                               kRewardFilesBytesMax)};
    }
  }
  return {};
}

Finding check_stages(const JobSpec& job) {
  if (job.sft.steps == 0 && job.grpo.steps == 0) {
    return Fault{"grpo.steps", "sft.steps and grpo.steps are both 0; set one of them"};
  }
  if (job.sft.steps > 0 && job.data.cold_start.empty()) {
    return Fault{"sft.steps", "sft.steps is set but data.cold_start is not; name its examples"};
  }
  if (job.grpo.steps > 0 && job.data.train.empty()) {
    return Fault{"grpo.steps", "grpo.steps is set but data.train is not; name its problems"};
  }
  if (job.grpo.steps > 0 && job.rewards.empty()) {
    return Fault{
        "grpo.steps",
        "grpo.steps is set but [rewards] is empty; add accuracy = { verifier = \"math\" }"};
  }
  const auto& cold_start = job.data.cold_start;
  if (cold_start.size() > kColdStartFilesMax ||
      std::find(cold_start.begin(), cold_start.end(), "") != cold_start.end()) {
    return Fault{"data.cold_start",
                 fmt::format("data.cold_start must be 1 to {} file names", kColdStartFilesMax)};
  }
  if (job.sft.gate_pass_at_1 > 0 && job.data.held_out.empty()) {
    return Fault{"sft.gate_pass_at_1", "sft.gate_pass_at_1 is set but data.held_out is not"};
  }
  const auto& shares = job.sft.part_shares;
  if (!shares.empty()) {
    double sum = 0;
    for (double share : shares) sum += share;
    if (shares.size() != cold_start.size() || std::fabs(sum - 1) > 1e-6) {
      return Fault{"sft.part_shares",
                   fmt::format("sft.part_shares has {} numbers with the sum {}; it needs one for "
                               "each of the {} data.cold_start files, with the sum 1",
                               shares.size(), to_text(sum), cold_start.size())};
    }
  }
  return {};
}

Finding check_combinations(const JobSpec& job) {
  if (!is_name(job.name)) {
    return Fault{"name", fmt::format("name is {}; use 1 to {} letters, digits, '-', '_' and '.'",
                                     in_quotes(job.name), kNameBytesMax)};
  }
  if (job.policy.config.empty() == job.policy.model.empty()) {
    return Fault{"policy.config", "set exactly one of policy.config and policy.model"};
  }
  const GrpoSpec& grpo = job.grpo;
  if (grpo.prompts_per_round % grpo.minibatches_per_round != 0) {
    return Fault{"grpo.minibatches_per_round",
                 fmt::format("grpo.minibatches_per_round is {}; it must divide "
                             "grpo.prompts_per_round, {}",
                             grpo.minibatches_per_round, grpo.prompts_per_round)};
  }
  if (grpo.steps % grpo.minibatches_per_round != 0) {
    return Fault{"grpo.steps", fmt::format("grpo.steps is {}; it must be a multiple of "
                                           "grpo.minibatches_per_round, {}",
                                           grpo.steps, grpo.minibatches_per_round)};
  }
  if ((job.learner.gradient_lanes & (job.learner.gradient_lanes - 1)) != 0) {
    return Fault{"learner.gradient_lanes",
                 fmt::format("learner.gradient_lanes is {}; it must be a power of two",
                             job.learner.gradient_lanes)};
  }
  for (double beta : {job.optimizer.beta1, job.optimizer.beta2}) {
    if (beta >= 1) return Fault{"optimizer.betas", "optimizer.betas must be below 1"};
  }
  if (job.schedule.mode == "sync" && job.schedule.lag != 0) {
    return Fault{"schedule.lag", "schedule.lag must be 0 when schedule.mode is \"sync\""};
  }
  if (job.schedule.mode == "pipelined" && job.schedule.lag == 0) {
    return Fault{"schedule.lag",
                 "schedule.lag must be at least 1 when schedule.mode is \"pipelined\""};
  }
  if (job.schedule.mode == "async" && job.schedule.lag != 0) {
    return Fault{"schedule.lag",
                 "schedule.lag is for \"pipelined\"; \"async\" has schedule.staleness_max_steps"};
  }
  if (job.schedule.mode == "async" && job.rollout.segment_tokens != 0) {
    return Fault{
        "rollout.segment_tokens",
        "rollout.segment_tokens must be 0 when schedule.mode is \"async\": who goes on with a "
        "response may have other weights than who began it"};
  }
  if (job.schedule.mode == "async" &&
      job.schedule.staleness_max_steps < grpo.minibatches_per_round - 1) {
    return Fault{
        "schedule.staleness_max_steps",
        fmt::format("schedule.staleness_max_steps is {}; a round's last minibatch is {} "
                    "steps behind (grpo.minibatches_per_round - 1), so it must be at least "
                    "that",
                    job.schedule.staleness_max_steps, grpo.minibatches_per_round - 1)};
  }
  if (job.schedule.mode != "sync" && job.resources.placement != "split") {
    return Fault{"resources.placement",
                 fmt::format("resources.placement must be \"split\" when schedule.mode is \"{}\": "
                             "a process does not generate while it learns",
                             job.schedule.mode)};
  }
  return {};
}

// Values that are part of the interface but that this version cannot run.
Finding check_supported(const JobSpec& job) {
  const auto refuse = [](std::string_view path, std::string value, std::string_view use) {
    return Fault{std::string(path),
                 fmt::format("{} = {} is not supported by this version; use {}", path, value, use)};
  };
  if (job.policy.attention_form != "latent") {
    return refuse("policy.attention_form", in_quotes(job.policy.attention_form), "\"latent\"");
  }
  const std::pair<std::string_view, int64_t> counts[] = {
      {"resources.learner", job.resources.learner},
      {"learner.expert_parallel", job.learner.expert_parallel}};
  for (const auto& [path, count] : counts) {
    if (count != 1) return refuse(path, std::to_string(count), "1");
  }
  return {};
}

Finding find_fault(JobSpec job) {
  for (const Key& key : job_keys()) {
    if (Finding fault = check_key(key, job)) return fault;
  }
  for (auto check : {check_rewards, check_combinations, check_stages, check_supported}) {
    if (Finding fault = check(job)) return fault;
  }
  return {};
}

// ---- Reading.

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

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
  Reader(std::string origin, JobSpec& job) : origin_(std::move(origin)), job_(job) {
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
      std::string found = type_name(node);
      if (const auto* string = node.as_string()) found = in_quotes(string->get());
      if (const auto* integer = node.as_integer()) found = std::to_string(integer->get());
      if (const auto* floating = node.as_floating_point()) found = to_text(floating->get());
      return at(node, fmt::format("{} must be {}, not {}", path, wanted(key->slot), found));
    }
    if (Finding fault = check_key(*key, job_)) return at(node, fault->message);
    if (key->is_path) make_absolute(key->slot);
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

  void make_absolute(const Slot& slot) {
    const auto absolute = [this](std::string& path) {
      if (!path.empty()) path = (folder_ / path).lexically_normal().string();
    };
    if (const auto* one = std::get_if<std::string& (*)(JobSpec&)>(&slot)) absolute((*one)(job_));
    if (const auto* list = std::get_if<std::vector<std::string>& (*)(JobSpec&)>(&slot)) {
      for (std::string& path : (*list)(job_)) absolute(path);
    }
  }

  std::string origin_;
  JobSpec& job_;
  std::filesystem::path folder_;
  std::string override_{};                       // Empty while the file is read.
  std::map<std::string, std::string> places_{};  // Where each key was set last.
};

// ---- Writing.

// The value as TOML; nothing when an optional key is not set.
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

// A key that is no bare one is in quotes.
std::string in_key_form(const std::string& key) {
  return is_name(key) && key.find('.') == std::string::npos ? key : in_quotes(key);
}

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

Result<JobSpec> read_job(std::string_view text, const std::string& origin,
                         std::span<const std::string> overrides) {
  JobSpec job;
  Reader reader(origin, job);
  if (Status status = reader.read_file_text(text); !status) return status.error();
  for (const std::string& override_text : overrides) {
    if (Status status = reader.read_override(override_text); !status) return status.error();
  }
  if (Status status = reader.finish_rewards(); !status) return status.error();
  if (Finding fault = find_fault(job)) return reader.locate(*fault);
  return job;
}

}  // namespace

Result<JobSpec> parse_job(std::string_view text, const std::string& origin,
                          std::span<const std::string> overrides) {
  auto job = read_job(text, origin, overrides);
  if (job) return job;
  // Keys and values may hold line breaks, a message may not.
  Error error = job.error();
  for (char& c : error.message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return error;
}

Result<JobSpec> load_job(const std::string& path, std::span<const std::string> overrides) {
  const auto text = model::read_file(path, kJobFileBytesMax);
  if (!text) return text.error();
  return parse_job(*text, path, overrides);
}

Status validate(const JobSpec& job) {
  if (Finding fault = find_fault(job)) return invalid_argument("job: " + fault->message);
  return ok();
}

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
