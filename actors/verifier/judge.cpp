#include "actors/verifier/judge.h"

#include <fmt/format.h>

#include <utility>

#include "actors/verifier/verifier_table.h"

namespace troupe::actors {

Result<std::shared_ptr<Sandbox>> open_sandbox_for(const std::vector<RewardSpec>& rewards) {
  const auto level = needed_box_level(rewards);
  if (!level) return std::shared_ptr<Sandbox>();
  auto opened = Sandbox::open(*level);
  if (!opened) return opened.error();
  return std::shared_ptr<Sandbox>(std::move(*opened));
}

Result<std::unique_ptr<Judge>> Judge::create(const std::vector<RewardSpec>& rewards,
                                             JudgeOptions options) {
  if (Status status = check_rewards(rewards); !status) return status.error();
  // A name that is not known here would be a program that nobody chose.
  auto trusted = find_trusted_programs(rewards, options.trusted_programs);
  if (!trusted) return trusted.error();
  if (!options.sandbox) {
    auto opened = open_sandbox_for(rewards);
    if (!opened) return opened.error();
    options.sandbox = std::move(*opened);
  }
  const VerifierTools tools{.sandbox = options.sandbox.get(),
                            .trusted_programs = std::move(*trusted)};
  std::vector<Part> parts;
  for (const RewardSpec& reward : rewards) {
    const VerifierEntry& entry = *find_verifier(reward.verifier);
    auto verifier = entry.make(reward, Settings(entry.settings, reward), tools);
    if (!verifier) {
      return Error{verifier.error().code,
                   fmt::format("rewards.{}: {}", reward.name, verifier.error().message)};
    }
    parts.push_back({reward.name, static_cast<float>(reward.weight), std::move(*verifier)});
  }
  return std::unique_ptr<Judge>(new Judge(std::move(options.sandbox), std::move(parts)));
}

Verdict Judge::judge(const ResponseToJudge& response) {
  Verdict verdict;
  for (const Part& one : parts_) {
    VerdictPart part = one.verifier->verify(response);
    part.name = one.name;
    part.weight = one.weight;
    verdict.parts.push_back(std::move(part));
  }
  return verdict;
}

}  // namespace troupe::actors
