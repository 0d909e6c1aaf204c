// The one list of verifiers: their names, what a reward may set for them, and how they are made. To
// add one: a file in rewards/ and its line in verifier_table.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/sandbox/box.h"
#include "actors/verifier/verifier.h"
#include "model/data/columns.h"
#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::actors {

enum class SettingType : uint8_t {
  kFlag,
  kNumber,
  kInteger,
  kText,
  kTexts,
  kFiles,  // Paths in the job file; the contents travel in RewardSpec::files.
};

// A key that a reward may have for a verifier.
struct SettingRule {
  std::string_view key{};
  SettingType type = SettingType::kNumber;
  SettingValue default_value{};  // Of the type's kind; an empty text or list is "not set".
  double low = 0, high = 0;      // Of numbers.
  std::vector<std::string_view> allowed{};  // Of texts; empty: any.
  std::string_view comment{};
};

// A reward's settings with the defaults for those that it does not have.
class Settings {
 public:
  // The reward has no fault.
  Settings(std::span<const SettingRule> rules, const RewardSpec& reward)
      : rules_(rules), reward_(reward) {}

  bool flag(std::string_view key) const { return std::get<bool>(value(key)); }
  double number(std::string_view key) const { return std::get<double>(value(key)); }
  int64_t integer(std::string_view key) const { return static_cast<int64_t>(number(key)); }
  const std::string& text(std::string_view key) const { return std::get<std::string>(value(key)); }
  const std::vector<std::string>& texts(std::string_view key) const {
    return std::get<std::vector<std::string>>(value(key));
  }

 private:
  const SettingValue& value(std::string_view key) const;

  std::span<const SettingRule> rules_;
  const RewardSpec& reward_;
};

struct VerifierEntry {
  using Made = Result<std::unique_ptr<Verifier>>;

  std::string_view name{};
  std::string_view comment{};
  std::vector<SettingRule> settings{};
  // What no rule says of one setting alone: the message, or nothing.
  std::function<std::optional<std::string>(const Settings&)> find_fault{};
  // The isolation that it needs; not set: none.
  std::function<std::optional<BoxLevel>(const Settings&)> box_level{};
  // The longest that one response may take beyond what the processor does at once; not set: 0. A
  // verifier that waits is given more threads, and the request that holds it more time.
  std::function<double(const Settings&)> seconds_max{};
  // What a problem must come with.
  model::WantedReference reference = model::WantedReference::kAny;
  // What is wrong with a reference: its prompt can never be paid and is left out. Not set: any will
  // do.
  std::function<Status(const Settings&, std::string_view gold)> check_gold{};
  // The reward has no fault.
  std::function<Made(const RewardSpec&, const Settings&, const VerifierTools&)> make{};
};

// The setting that names a program of the head.
inline constexpr std::string_view kTrustedKey = "trusted";

std::span<const VerifierEntry> verifiers();
const VerifierEntry* find_verifier(std::string_view name);
std::vector<std::string> verifier_names();

// A setting as the rule has it: a text where a list is wanted is a list of one.
SettingValue in_form_of(const SettingRule& rule, SettingValue value);
const SettingRule* find_rule(const VerifierEntry& entry, std::string_view key);

// What is wrong with a reward: `key` is "verifier", "weight" or a setting; the message is complete
// and names the nearest known key.
struct RewardFault {
  std::string key{};
  std::string message{};
};
std::optional<RewardFault> find_fault(const RewardSpec& reward);

// kInvalidArgument for no rewards and for the first fault.
Status check_rewards(const std::vector<RewardSpec>& rewards);

// The index of the reward part that says whether an answer is right: the first that is judged by
// `math`, else the first by `code`, else the first.
size_t accuracy_part(const std::vector<RewardSpec>& rewards);

// What the verifier of the accuracy part wants, and what it says of a reference: kInvalidArgument
// for one that it can never pay. The rewards have passed check_rewards.
model::WantedReference wanted_reference(const std::vector<RewardSpec>& rewards);
Status check_gold(const std::vector<RewardSpec>& rewards, std::string_view gold);

// The strongest isolation that a reward needs; nothing where none needs any.
std::optional<BoxLevel> needed_box_level(const std::vector<RewardSpec>& rewards);

// The longest that one response may take with all of them, as in VerifierEntry.
double seconds_max(const std::vector<RewardSpec>& rewards);

// Those of `known` that the rewards name. kInvalidArgument, with the known names, for one that is
// not there: it is never taken from a job.
Result<std::vector<TrustedProgram>> find_trusted_programs(const std::vector<RewardSpec>& rewards,
                                                          const std::vector<TrustedProgram>& known);

}  // namespace troupe::actors
