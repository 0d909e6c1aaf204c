#include "cluster/jobs/job_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "cluster/jobs/job_keys.h"
#include "cluster/jobs/specification.h"
#include "model/formats/file.h"
#include "schemas/hash.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

// The job file of the design's page.
const std::string kFull = R"(name = "quickstart"
seed = 7

[policy]
config = "tiny-moe"
attention_form = "latent"

[data]
train = "data/train.jsonl"
cold_start = "data/cold_start.jsonl"
held_out = "/abs/held_out.jsonl"
template = "r1-zero"
shuffle = false
max_prompt_tokens = 64

[sft]
steps = 300
batch_tokens = 4096
learning_rate = 1e-3

[grpo]
steps = 200
prompts_per_round = 32
group_size = 8
minibatches_per_round = 2
learning_rate = 1e-4
kl_estimator = "k1"
zero_variance_groups = "replace"

[optimizer]
betas = [0.8, 0.99]
weight_decay = 0

[rewards]
format = { verifier = "r1_format", weight = 0.1 }
accuracy = { verifier = "math", weight = 1 }

[schedule]
mode = "sync"
checkpoint_every_steps = 10

[eval]
every_steps = 20
)";

const std::string kSmall = R"([data]
train = "t.jsonl"
[grpo]
steps = 10
[rewards]
accuracy = { verifier = "math" }
)";

JobSpec parsed(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const auto job = parse_job(text, "/jobs/a.toml", overrides);
  CAPTURE((job ? "" : job.error().message));
  REQUIRE(job);
  return *job;
}

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const auto job = parse_job(text, "/jobs/a.toml", overrides);
  REQUIRE_FALSE(job);
  CHECK(job.error().code == ErrorCode::kInvalidArgument);
  CHECK(job.error().message.find('\n') == std::string::npos);
  return job.error().message;
}

TEST_CASE("job_file: every kind of value arrives where it belongs") {
  const JobSpec job = parsed(kFull);
  CHECK(job.name == "quickstart");
  CHECK(job.seed == 7);
  CHECK(job.data.template_name == "r1-zero");
  CHECK_FALSE(job.data.shuffle);
  CHECK(job.data.max_prompt_tokens == 64);
  CHECK(job.sft.learning_rate == 1e-3);
  CHECK(job.grpo.minibatches_per_round == 2);
  CHECK(job.grpo.kl_estimator == "k1");
  CHECK(job.optimizer.beta1 == 0.8);
  CHECK(job.optimizer.beta2 == 0.99);
  CHECK(job.optimizer.weight_decay == 0.0);
  CHECK(job.schedule.checkpoint_every_steps == 10);
}

TEST_CASE("job_file: a missing key means the default") {
  const JobSpec job = parsed(kSmall);
  CHECK(job.policy.config == "tiny-moe");
  CHECK(job.grpo.group_size == GrpoSpec{}.group_size);
  CHECK(job.rollout.temperature == 1.0);
  CHECK_FALSE(job.sft.balance_bias_rate);
}

TEST_CASE("job_file: relative paths are relative to the file") {
  const JobSpec job = parsed(kFull);
  CHECK(job.data.train == "/jobs/data/train.jsonl");
  CHECK(job.data.cold_start == std::vector<std::string>{"/jobs/data/cold_start.jsonl"});
  CHECK(job.data.held_out == "/abs/held_out.jsonl");
  CHECK(parsed(kSmall, {"data.train=../x.jsonl"}).data.train == "/x.jsonl");
}

TEST_CASE("job_file: for another host relative paths are files to send, by what is in them") {
  const tests::TempDir dir;
  std::filesystem::create_directory(dir.file("data"));
  tests::write_text(dir.file("data/train.jsonl"), "train\n");
  tests::write_text(dir.file("part.csv"), "part\n");
  tests::write_text(dir.file("a.toml"), kSmall);
  const auto load = [&](const std::vector<std::string>& set) {
    return load_job_to_send(dir.file("a.toml"), set);
  };
  const auto read = load({"data.train=data/train.jsonl", "data.held_out=/abs/held_out.jsonl",
                          "data.cold_start=[\"part.csv\", \"./part.csv\"]"});
  REQUIRE_MESSAGE(read, read.error().message);
  const std::string text = "train\n";
  const std::string digest = sha256_hex(std::as_bytes(std::span(text)));
  CHECK(read->job.data.train == "sha256:" + digest + "/train.jsonl");
  CHECK(read->job.data.held_out == "/abs/held_out.jsonl");
  REQUIRE(read->files.size() == 2);
  CHECK(read->files[0].path == dir.file("data/train.jsonl"));
  CHECK(read->files[0].bytes == 6);
  CHECK(read->job.data.cold_start == std::vector(2, text_of(read->files[1].reference)));
  CHECK(check_paths(read->job));
  CHECK(content_of(read->job).size() == 2);
  // Where a file lies does not count.
  auto here = load_job(dir.file("a.toml"), {});
  auto there = read->job;
  there.data = here->data;
  CHECK(specification_hash(there) == specification_hash(*here));
  const auto error = [&](const std::string& set) { return load({set}).error().message; };
  CHECK(error("data.train=none").find("--set data.train=none: data.train: cannot read ") == 0);
  CHECK(error("policy.model=data").find("is a folder of this host") != std::string::npos);
  JobSpec job;
  job.data.train = "sha256:" + digest.substr(1) + "/train.jsonl";
  CHECK_FALSE(check_paths(job));
  for (const std::string bad : {"", "/", "/..", "/a/b", "/a\n"}) {
    CHECK_FALSE(parse_reference("sha256:" + digest + bad));
  }
  CHECK_FALSE(parse_reference("sha256:" + std::string(64, 'A') + "/a"));
}

TEST_CASE("job_file: rewards are in byte order of their names, however they were written") {
  const JobSpec job = parsed(kFull);
  REQUIRE(job.rewards.size() == 2);
  CHECK(job.rewards[0].name == "accuracy");
  CHECK(job.rewards[1].name == "format");
  CHECK(job.rewards[1].weight == 0.1);
}

TEST_CASE("job_file: a misspelt key is answered with the nearest one, at its line") {
  CHECK(error_of("[grpo]\ngroup_sise = 4\n") ==
        "/jobs/a.toml:2: unknown key grpo.group_sise; did you mean grpo.group_size?");
  CHECK(error_of("[rolout]\ntemperature = 1.0\n") ==
        "/jobs/a.toml:2: unknown key rolout.temperature; did you mean rollout.temperature?");
  CHECK(error_of("[grpo]\ntemperature = 1.0\n")
            .find("did you mean rollout.temperature or "
                  "eval.temperature?") != std::string::npos);
  CHECK(error_of("[optimizer]\nbeta = [0.9, 0.95]\n").find("did you mean optimizer.betas?") !=
        std::string::npos);
  CHECK(error_of("[eval]\nzzzzzz = 1\n").find("[eval] has every_steps, problems, temperature") !=
        std::string::npos);
  CHECK(error_of("qqqqqqqq = 1\n").find("the tables are policy, data, sft") != std::string::npos);
}

TEST_CASE("job_file: a peer's key is answered with ours") {
  const auto answered = [](const std::string& text, const std::string& answer) {
    CAPTURE(text);
    const std::string error = error_of(text);
    CAPTURE(error);
    CHECK(error.find("here it is " + answer) != std::string::npos);
  };
  answered("[grpo]\nnum_generations = 8\n", "grpo.group_size");
  answered("[rollout]\nn = 8\n", "grpo.group_size");
  answered("[actor_rollout_ref.rollout]\nn = 8\n", "grpo.group_size");
  answered("[rollout]\nn_samples_per_prompt = 8\n", "grpo.group_size");
  answered("n-samples-per-prompt = 8\n", "grpo.group_size");
  answered("[grpo]\neps_clip = 0.2\n", "grpo.clip_low and grpo.clip_high");
  answered("[grpo]\nepsilon_high = 0.28\n", "grpo.clip_high");
  answered("[grpo]\nkl_loss_coef = 0.1\n", "grpo.kl_coef");
  answered("[grpo]\nbeta = 0.1\n", "grpo.kl_coef");
  answered("[actor]\nbehav_imp_weight_cap = 5\n", "grpo.importance_cap");
  answered("use-tis = true\n", "grpo.off_policy_correction: \"truncated\"");
  answered("[data]\nmax_response_length = 512\n", "rollout.max_response_tokens");
  answered("[rollout]\nmax_new_tokens = 512\n", "rollout.max_response_tokens");
  answered("[data]\ntrain_batch_size = 512\n", "grpo.prompts_per_round: it counts prompts");
}

TEST_CASE("job_file: every peer's answer is a key there is") {
  for (const char* theirs : {"num_generations", "lr", "save_freq", "loss_agg_mode", "test_freq"}) {
    const std::string advice = advice_for_unknown_key(theirs);
    const std::string ours = advice.substr(11, advice.find_first_of(" :", 11) - 11);
    CAPTURE(advice);
    CHECK(find_job_key(ours) != nullptr);
  }
}

TEST_CASE("job_file: a wrong type is named with what was found") {
  CHECK(error_of("[grpo]\nsteps = \"200\"\n") ==
        "/jobs/a.toml:2: grpo.steps must be an integer, not \"200\"");
  CHECK(error_of("[grpo]\nsteps = 1e3\n") ==
        "/jobs/a.toml:2: grpo.steps must be an integer, not 1000.0");
  CHECK(error_of("[data]\nshuffle = 1\n") ==
        "/jobs/a.toml:2: data.shuffle must be true or false, not 1");
  CHECK(error_of("seed = -1\n").find("not negative") != std::string::npos);
  CHECK(error_of("[optimizer]\nbetas = [0.9]\n").find("a list of two numbers") !=
        std::string::npos);
  CHECK(error_of("[data]\ncold_start = [1]\n").find("a list of strings") != std::string::npos);
  CHECK(error_of("grpo = 3\n") == "/jobs/a.toml:1: grpo must be a table, not an integer");
  CHECK(error_of("[rewards]\naccuracy = \"math\"\n").find("must be a table such as") !=
        std::string::npos);
  CHECK(error_of("[rewards]\naccuracy = { verifier = \"math\", wieght = 1 }\n")
            .find("unknown key rewards.accuracy.wieght") != std::string::npos);
}

TEST_CASE("job_file: what is not TOML is named with its line") {
  CHECK(error_of("name = \"a\"\n[grpo\n").find("/jobs/a.toml:2: not TOML: ") == 0);
  CHECK(error_of("[grpo]\nsteps = 1\nsteps = 2\n").find("/jobs/a.toml:3: not TOML: ") == 0);
}

TEST_CASE("job_file: a missing file is one line with its path") {
  const auto job = load_job("/no/such/job.toml");
  REQUIRE_FALSE(job);
  CHECK(job.error().code == ErrorCode::kInvalidArgument);
  CHECK(job.error().message == "cannot read /no/such/job.toml: No such file or directory");
}

TEST_CASE("job_file: values out of range are refused with the range") {
  const auto refused = [](const std::string& override_text, const std::string& word) {
    CAPTURE(override_text);
    const std::string error = error_of(kSmall, {override_text});
    CAPTURE(error);
    CHECK(error.find("--set " + override_text + ": ") == 0);
    CHECK(error.find(word) != std::string::npos);
  };
  refused("rollout.temperature=0", "at least 0.001");
  refused("rollout.temperature=nan", "at least 0.001");
  refused("rollout.top_p=0", "must be above 0 and at most 1");
  refused("rollout.top_p=1.5", "at most 1");
  refused("grpo.group_size=1", "at least 2");
  refused("grpo.learning_rate=10", "at most 1");
  refused("grpo.steps=-1", "at least 0");
  refused("learner.gradient_lanes=3", "power of two");
  refused("learner.lane_width=6", "power of two");
  refused("priority=101", "at most 100");
  refused("resources.learner=3", "with learner.gradient_lanes = 4 it may be 1, 2, 4");
  refused("resources.learner=8", "with learner.gradient_lanes = 4 it may be 1, 2, 4");
  refused("learner.microbatch_tokens=0", "at least 1");
  refused("optimizer.betas=[0.9, 1.0]", "at most 0.999999");
  refused("grpo.kl_estimator=k4", "one of k1, k2, k3");
  refused("grpo.advantage=gae", "one of group_normalised, group_centred");
  refused("grpo.zero_variance_groups=skip", "one of keep, drop, replace");
  refused("grpo.off_policy_correction=tis", "one of none, decoupled, truncated");
  refused("grpo.importance_cap=0", "must be above 0 and at most 1000000");
  refused("grpo.importance_cap=inf", "at most 1000000");
  refused("grpo.importance_cap=nan", "above 0");
  refused("sft.learning_rate_schedule=linear", "one of constant, cosine");
  refused("rewards.accuracy.verifier=\"mth\"", "one of math, ");
  refused("rewards.accuracy.weight=-1", "at least 0");
  refused("name=a/b", "letters, digits");
}

TEST_CASE("job_file: line breaks in keys and values do not break the message") {
  CHECK(error_of(kSmall, {"grpo.steps=3\n"}).find("must be an integer") != std::string::npos);
  CHECK(error_of("[grpo]\n\"a\\nb\" = 1\n").find("grpo.a?b") != std::string::npos);
}

TEST_CASE("job_file: eval may be greedy") {
  CHECK(parsed(kSmall, {"eval.temperature=0"}).eval.temperature == 0.0);
}

TEST_CASE("job_file: minibatches divide a round and the steps") {
  CHECK(error_of("[grpo]\nprompts_per_round = 32\nminibatches_per_round = 3\nsteps = 9\n") ==
        "/jobs/a.toml:3: grpo.minibatches_per_round is 3; it must divide grpo.prompts_per_round, "
        "32");
  CHECK(error_of(kSmall, {"grpo.minibatches_per_round=4"}) ==
        "/jobs/a.toml:4: grpo.steps is 10; it must be a multiple of grpo.minibatches_per_round, 4");
}

TEST_CASE("job_file: idle slots are lent to at least as many rollouts as there are anyway") {
  CHECK(parsed(kSmall, {"resources.rollout=3", "resources.rollout_max=0"}).priority == 0);
  CHECK(error_of(kSmall, {"resources.rollout=3", "resources.rollout_max=2"})
            .find("resources.rollout_max is 2; it must be 0 or at least resources.rollout, 3") !=
        std::string::npos);
}

TEST_CASE("job_file: a stage needs its data and its rewards") {
  CHECK(error_of("name = \"a\"\n").find("sft.steps and grpo.steps are both 0") !=
        std::string::npos);
  CHECK(error_of("[grpo]\nsteps = 1\n").find("data.train is not") != std::string::npos);
  CHECK(error_of("[sft]\nsteps = 1\n").find("data.cold_start is not") != std::string::npos);
  CHECK(error_of("[data]\ntrain = \"t\"\n[grpo]\nsteps = 1\n").find("[rewards] is empty") !=
        std::string::npos);
  CHECK(error_of("[data]\ncold_start = [\"a\", \"b\"]\n[sft]\nsteps = 1\npart_shares = [1.0]\n")
            .find("one for each of the 2 data.cold_start files") != std::string::npos);
  const JobSpec job =
      parsed("[data]\ncold_start = [\"a\", \"b\"]\n[sft]\nsteps = 1\npart_shares = [0.7, 0.3]\n");
  CHECK(job.data.cold_start == std::vector<std::string>{"/jobs/a", "/jobs/b"});
}

TEST_CASE("job_file: exactly one of config and model") {
  CHECK(error_of("[policy]\nconfig = \"tiny-moe\"\nmodel = \"m\"\n") ==
        "/jobs/a.toml:3: set exactly one of policy.config and policy.model");
  const JobSpec job = parsed("[policy]\nconfig = \"tiny-moe\"\n" + kSmall, {"policy.model=m"});
  CHECK(job.policy.model == "/jobs/m");
  CHECK(job.policy.config.empty());
  CHECK(error_of(kSmall, {"policy.config="}).find("exactly one") != std::string::npos);
}

TEST_CASE("job_file: what this version cannot run is refused by name") {
  const auto refused = [](const std::string& override_text) {
    CAPTURE(override_text);
    CHECK(error_of(kSmall, {override_text}).find("is not supported by this version; use ") !=
          std::string::npos);
  };
  refused("learner.expert_parallel=2");
  refused("policy.attention_form=expanded");
}

TEST_CASE("job_file: schedules, and what goes with each") {
  const auto error = [](const std::vector<std::string>& overrides) {
    return error_of(kSmall, overrides);
  };
  CHECK(error({"schedule.lag=1"}).find("must be 0") != std::string::npos);
  const std::string pipelined = "schedule.mode=pipelined", async = "schedule.mode=async";
  const std::string split = "resources.placement=split";
  CHECK(error({pipelined, split}).find("must be at least 1") != std::string::npos);
  CHECK(error({pipelined, "schedule.lag=1"}).find("must be \"split\"") != std::string::npos);
  CHECK(error({async}).find("must be \"split\"") != std::string::npos);
  CHECK(error({async, split, "schedule.lag=1"}).find("staleness_max_steps") != std::string::npos);
  const std::string two = "grpo.minibatches_per_round=2";
  CHECK(error({async, split, two, "schedule.staleness_max_steps=0"}).find("must be at least") !=
        std::string::npos);
  const auto ahead = [](const std::vector<std::string>& overrides) {
    const JobSpec job = parsed(kSmall, overrides);
    return rounds_ahead(job.schedule, job.grpo.minibatches_per_round);
  };
  CHECK(ahead({}) == 0);
  CHECK(ahead({pipelined, split, "schedule.lag=2"}) == 2);
  // A round's last minibatch is learned by a policy that is (ahead + 1) * minibatches - 1 steps
  // newer.
  CHECK(ahead({async, split, two, "schedule.staleness_max_steps=1"}) == 0);
  CHECK(ahead({async, split, two, "schedule.staleness_max_steps=6"}) == 2);
  CHECK(ahead({async, split, two, "schedule.staleness_max_steps=7"}) == 3);
}

TEST_CASE("job_file: overrides win, need no quotes for strings, and fail by their own text") {
  const JobSpec job = parsed(
      kSmall, {"grpo.steps=20", "grpo.steps=30", "name=my-run", "data.cold_start=[\"a\", \"b\"]",
               "rewards.format={verifier=\"r1_format\", weight=0.1}", "rewards.accuracy.weight=2",
               "optimizer.betas=[0.8, 0.9]", "seed=12", "sft.balance_bias_rate=0.01"});
  CHECK(job.grpo.steps == 30);
  CHECK(job.name == "my-run");
  CHECK(job.data.cold_start.size() == 2);
  CHECK(job.rewards.size() == 2);
  CHECK(job.rewards[0].weight == 2.0);
  CHECK(job.rewards[0].verifier == "math");
  CHECK(job.optimizer.beta1 == 0.8);
  CHECK(job.sft.balance_bias_rate == 0.01);

  CHECK(error_of(kSmall, {"grpo.steps"}) == "--set grpo.steps: must be table.key=value");
  CHECK(error_of(kSmall, {"grpo.stps=1"}) ==
        "--set grpo.stps=1: unknown key grpo.stps; did you mean grpo.steps?");
  CHECK(error_of(kSmall, {"grpo.steps=many"}) ==
        "--set grpo.steps=many: grpo.steps must be an integer, not \"many\"");
}

TEST_CASE("job_file: a reward's own settings are read, overridden and checked by its verifier") {
  const std::string text = kSmall +
                           "\n[rewards.brevity]\nmax_tokens = 64\nverifier = \"length\"\n"
                           "buffer_tokens = 16\n";
  JobSpec job =
      parsed(text, {"rewards.brevity.buffer_tokens=8", "rewards.accuracy.weight=2",
                    "rewards.thoughts.language=zh", "rewards.thoughts.verifier=language"});
  REQUIRE(job.rewards.size() == 3);
  const std::vector<RewardSetting> settings = {{"buffer_tokens", 8.0}, {"max_tokens", 64.0}};
  CHECK(job.rewards[1].settings == settings);
  CHECK(job.rewards[2].settings == std::vector<RewardSetting>{{"language", std::string("zh")}});

  const std::string wrong = error_of(text, {"rewards.brevity.max_token=32"});
  CHECK(wrong.find("--set rewards.brevity.max_token=32: unknown key") == 0);
  CHECK(wrong.find("did you mean max_tokens?") != std::string::npos);
  CHECK(error_of(text, {"rewards.brevity.max_tokens=many"}).find("must be an integer") !=
        std::string::npos);
  CHECK(error_of(text, {"rewards.brevity.max_tokens=[1, 2]"}).find("a list of strings, not a") !=
        std::string::npos);
  CHECK(error_of(text, {"rewards.brevity.verifier=math"}).find("unknown key") != std::string::npos);
  CHECK(error_of(text, {"rewards.brevity.buffer_tokens=65"}).find("more than max_tokens") !=
        std::string::npos);
}

TEST_CASE("job_file: a setting that says the default is the same job, another value is not") {
  const auto hash = [](std::vector<std::string> overrides) {
    overrides.push_back("rewards.circles.verifier=repetition");
    return specification_hash(parsed(kSmall, overrides));
  };
  CHECK(hash({}) == hash({"rewards.circles.ngram=4"}));
  CHECK(hash({}) != hash({"rewards.circles.ngram=5"}));
}

TEST_CASE("job_file: a reward's files travel with the job, and their contents decide it") {
  const tests::TempDir dir;
  const std::string path = dir.file("job.toml");
  const auto load = [&] {
    return load_job(
        path, std::vector<std::string>{"rewards.mine.command=[\"python3\", \"x.py\"]",
                                       "rewards.mine.files=x.py", "rewards.mine.verifier=command"});
  };
  REQUIRE(model::write_file(path, kSmall));
  auto missing = load();
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("rewards.mine.files") != std::string::npos);
  REQUIRE(model::write_file(dir.file("x.py"), "print(1)"));
  auto job = load();
  REQUIRE(job);
  CHECK(job->rewards[1].files == std::vector<RewardFile>{{"x.py", "print(1)"}});
  CHECK(parsed(to_toml(*job)).rewards[1].files == job->rewards[1].files);
  REQUIRE(model::write_file(dir.file("x.py"), "print(2)"));
  CHECK(specification_hash(*load()) != specification_hash(*job));
  // Where they lie does not matter.
  JobSpec moved = *job;
  for (RewardSetting& setting : moved.rewards[1].settings) {
    if (setting.key == "files") setting.value = std::vector<std::string>{"/elsewhere/x.py"};
  }
  CHECK(specification_hash(moved) == specification_hash(*job));
}

TEST_CASE("job_file: the specification hash sees what decides the history, and nothing else") {
  const std::string hash = specification_hash(parsed(kSmall));
  CHECK(hash.size() == 64);
  CHECK(hash == specification_hash(parsed("# a comment\n" + kSmall)));
  CHECK(hash == specification_hash(parsed("seed = 1\n" + kSmall)));
  for (const char* outside : {"resources.threads_per_worker=2", "eval.every_steps=5",
                              "eval.temperature=1", "prices.gpu_hour=3", "data.train=u.jsonl",
                              "schedule.checkpoint_every_steps=1", "schedule.checkpoints_kept=9"}) {
    CAPTURE(outside);
    CHECK(hash == specification_hash(parsed(kSmall, {outside})));
  }
  for (const char* inside :
       {"seed=2", "name=b", "grpo.steps=20", "grpo.kl_coef=0.002", "data.shuffle=false",
        "grpo.off_policy_correction=decoupled", "grpo.importance_cap=3",
        "optimizer.betas=[0.9, 0.99]", "rewards.accuracy.weight=2",
        "rollout.rescore_every_rounds=1", "sft.balance_bias_rate=0", "policy.config=small-moe"}) {
    CAPTURE(inside);
    CHECK(hash != specification_hash(parsed(kSmall, {inside})));
  }
}

TEST_CASE(
    "job_file: columns are named in a table of their own, and change the job where they are") {
  const auto with = [](std::string_view columns) {
    std::string text = kSmall;
    const size_t at = text.find("[data]\n") + 7;
    return text.insert(at, columns);
  };
  const std::string hash = specification_hash(parsed(kSmall));
  for (const char* columns : {"columns = { prompt = \"q\", answer = \"a b\" }\n",
                              "columns.prompt = \"q\"\ncolumns.answer = \"a b\"\n"}) {
    const JobSpec job = parsed(with(columns));
    CHECK(job.data.prompt_column == "q");
    CHECK(job.data.answer_column == "a b");
    CHECK(specification_hash(job) != hash);
    CHECK(specification_hash(parsed(to_toml(job))) == specification_hash(job));
  }
  CHECK(parsed(kSmall, {"data.columns.answer=7"}).data.answer_column == "7");
  CHECK(error_of(with("columns = { question = \"q\" }\n"))
            .find("unknown key data.columns.question") != std::string::npos);
  CHECK(error_of(with("columns = \"q\"\n")).find("unknown key data.columns") != std::string::npos);
  CHECK(error_of(with("columns = { prompt = 1 }\n")).find("data.columns.prompt must be a string") !=
        std::string::npos);
}

TEST_CASE("job_file: keys that differ are named with both values") {
  const JobSpec job = parsed(kSmall);
  CHECK(differences(parsed(kSmall, {"seed=2", "eval.every_steps=3"}), job) ==
        "seed is 2, there it is 1");
  CHECK(differences(parsed(kSmall, {"rewards.accuracy.weight=2"}), job)
            .starts_with("rewards.accuracy is { verifier = \"math\", weight = 2.0 }, there it is"));
  CHECK(differences(job, job).find("another version") != std::string::npos);
}

TEST_CASE("job_file: what is written is read as the same job") {
  for (const std::string& text : {kFull, kSmall}) {
    JobSpec job = parsed(text, {"sft.balance_bias_rate=0.25", "eval.temperature=0.5"});
    const std::string toml = to_toml(job);
    CAPTURE(toml);
    const JobSpec again = parsed(toml);
    CHECK(specification_hash(again) == specification_hash(job));
    CHECK(again.eval.temperature == 0.5);
    CHECK(to_toml(again) == toml);
  }
}

TEST_CASE("job_file: the written file explains every key") {
  const std::string toml = to_toml(parsed(kSmall));
  for (const Key& key : job_keys()) {
    CAPTURE(key.path);
    CHECK_FALSE(key.comment.empty());
    CHECK(toml.find(std::string(key.name()) + " =") != std::string::npos);
  }
  CHECK(toml.find("# balance_bias_rate =") != std::string::npos);
}

TEST_CASE("job_file: a job made in a program is held to the same rules") {
  JobSpec job = parsed(kSmall);
  CHECK(validate(job));
  job.rollout.top_p = 2;
  CHECK_FALSE(validate(job));
}

TEST_CASE("job_file: a file on disk is read with its overrides") {
  const tests::TempDir dir;
  REQUIRE(model::write_file(dir.file("job.toml"), kSmall));
  const std::vector<std::string> overrides = {"grpo.steps=12"};
  const auto job = load_job(dir.file("job.toml"), overrides);
  REQUIRE(job);
  CHECK(job->grpo.steps == 12);
  CHECK(job->data.train == dir.file("t.jsonl"));
}

}  // namespace
}  // namespace troupe::cluster
