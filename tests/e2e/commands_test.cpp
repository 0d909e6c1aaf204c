// The fixed interfaces of the program, from outside.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "model/formats/checkpoint.h"
#include "tests/support/short_job.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using tests::contents;
using tests::Ended;
using tests::Process;
using tests::ShortJob;
using tests::troupe;
using tests::write_text;

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(json::parse(line));  // Standard output carries JSON only.
  }
  return lines;
}

// A job that has run, for all that ask about its policy.
struct Ran {
  Ran() {
    const Ended ended = troupe(job.run("home"));
    REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
    const auto lines = lines_of(ended.out);
    REQUIRE(lines.size() == 1);
    result = lines[0];
    model = result["checkpoint"];
  }
  ShortJob job{};
  json result{};
  std::string model{};
};
const Ran& ran() {
  static const Ran instance;
  return instance;
}

TEST_CASE("commands: what shells and man know is what --help says") {
  const Ended help = tests::troupe({"--help"});
  const Ended man = tests::troupe({"man"});
  CHECK(man.exit_code == 0);
  CHECK(man.out.find(".TH troupe 1\n") == 0);
  const size_t listed = help.out.find("Subcommands:\n");
  REQUIRE(listed != std::string::npos);
  std::istringstream lines(help.out.substr(listed));
  std::string line;
  std::getline(lines, line);
  std::vector<std::string> commands;
  while (std::getline(lines, line) && !line.empty()) {
    if (line.size() > 2 && line[2] != ' ')
      commands.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  CHECK(commands.size() > 20);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Ended completion = tests::troupe({"completion", shell});
    CHECK(completion.exit_code == 0);
    for (const std::string& command : commands) {
      CAPTURE(shell);
      CAPTURE(command);
      CHECK(completion.out.find(command) != std::string::npos);
    }
  }
  for (const std::string& command : commands) {
    CAPTURE(command);
    std::string shown = command;
    for (size_t at = 0; (at = shown.find('-', at)) != std::string::npos; at += 2) {
      shown.replace(at, 1, "\\-");
    }
    CHECK(man.out.find(".SS troupe " + shown + "\n") != std::string::npos);
  }
  // What people are not to type is in neither.
  CHECK(man.out.find(".SS troupe worker") == std::string::npos);
  CHECK(tests::troupe({"completion", "csh"}).exit_code == 2);
  CHECK(tests::troupe({"--version"}).out.find("arithmetic cpu-1") != std::string::npos);
}

TEST_CASE("run --json: one object with the state, the weights and what was done") {
  const json& result = ran().result;
  CHECK(result["state"] == "finished");
  CHECK(result["steps"] == 6);
  CHECK(result["weights_sha256"].get<std::string>().size() == 64);
  const auto& trajectories = result["trajectories"];
  CHECK(trajectories["generated"] == 16);
  CHECK(trajectories["regenerated"] == 0);
  CHECK(trajectories["learned"] == 16);
  CHECK(trajectories["dropped"].is_object());
  CHECK(trajectories["dropped"].empty());
  CHECK(result["ledger"]["tokens_generated"] > 16);
  CHECK(result["ledger"]["tokens_learned"] > 16);
  CHECK(result["ledger"]["money"] > 0);
  // A line of metrics for each step lies beside the checkpoints.
  std::ifstream metrics(ran().model + "/../../metrics.jsonl");
  int64_t steps = 0;
  for (std::string line; std::getline(metrics, line);) {
    steps += json::parse(line).contains("loss") ? 1 : 0;
  }
  CHECK(steps == result["steps"]);
  // The folder that it names is a checkpoint with the hash that it says.
  const auto checkpoint = model::load_checkpoint(ran().model);
  REQUIRE(checkpoint);
  CHECK(model::checkpoint_sha256(checkpoint->config, checkpoint->values) ==
        result["weights_sha256"]);
}

TEST_CASE("run: the same weights for one and two threads and every instruction set") {
  const std::vector<std::string> job = {"sft.steps=2",
                                        "data.cold_start=data/cold_start_clean.jsonl"};
  std::string first;
  for (const char* cpu : {"amx", "avx512bf16", "avx512", "avx2"}) {
    for (const char* threads : {"1", "2"}) {
      CAPTURE(cpu);
      auto invocation = ran().job.run("other", job);
      invocation.arguments.insert(
          invocation.arguments.end(),
          {"--overwrite", "--set", std::string("resources.threads_per_worker=") + threads});
      invocation.environment = {{"TROUPE_CPU", cpu}};
      const Ended ended = troupe(invocation);
      if (ended.exit_code == 2 && ended.error.find("TROUPE_CPU") != std::string::npos) continue;
      REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
      const std::string hash = lines_of(ended.out).at(0)["weights_sha256"];
      if (first.empty()) first = hash;
      CHECK(hash == first);
    }
  }
  auto invocation = ran().job.run("other", job);
  invocation.arguments.insert(invocation.arguments.end(), {"--overwrite", "--set", "seed=2"});
  const Ended other = troupe(invocation);
  REQUIRE(other.exit_code == 0);
  CHECK(lines_of(other.out).at(0)["weights_sha256"] != first);
}

TEST_CASE("eval --json: pass@1 with its interval") {
  const Ended ended =
      troupe({"eval", "--model", ran().model, "--data", ran().job.file("data/held_out.jsonl"),
              "--problems", "12", "--temperature", "1", "--json"});
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  const auto lines = lines_of(ended.out);
  REQUIRE(lines.size() == 1);
  const json& result = lines[0];
  CHECK(result["problems"] == 12);
  CHECK(result["pass_at_1"] >= 0);
  CHECK(result["pass_at_1"] <= 1);
  REQUIRE(result["interval_95"].size() == 2);
  CHECK(result["interval_95"][0] <= result["pass_at_1"]);
  CHECK(result["interval_95"][1] >= result["pass_at_1"]);
  CHECK(result["interval_95"][1] > 0);
  CHECK(result["tokens_per_second"] > 0);
}

TEST_CASE("generate and score: the same log-probabilities, bit for bit") {
  for (const char* precision : {"bf16", "fp32"}) {
    CAPTURE(precision);
    const Ended generated =
        troupe({"generate", "--model", ran().model, "--prompt", "1+2+3=?", "--prompt", "4*5-6=?",
                "--samples", "3", "--temperature", "1", "--max-response-tokens", "40", "--seed",
                "5", "--precision", precision, "--json"});
    REQUIRE_MESSAGE(generated.exit_code == 0, generated.error);
    const auto responses = lines_of(generated.out);
    REQUIRE(responses.size() == 6);
    std::string asked;
    std::vector<std::vector<float>> want;
    std::set<std::string> different;
    for (const auto& response : responses) {
      CHECK((response["finish_reason"] == "stop" || response["finish_reason"] == "length"));
      std::vector<int32_t> tokens = {257};  // The plain template: <bos> and the bytes.
      for (char c : response["prompt"].get<std::string>()) tokens.push_back(c);
      for (int32_t token : response["tokens"]) tokens.push_back(token);
      asked += json{{"tokens", tokens}}.dump() + "\n";
      want.push_back(response["logprobs"].get<std::vector<float>>());
      different.insert(response["response"].dump());
    }
    CHECK(different.size() > 1);
    const Ended scored = troupe(
        {.arguments = {"score", "--model", ran().model, "--precision", precision, "--threads", "2"},
         .input = asked});
    REQUIRE_MESSAGE(scored.exit_code == 0, scored.error);
    const auto scores = lines_of(scored.out);
    REQUIRE(scores.size() == 6);
    for (size_t i = 0; i < 6; ++i) {
      const auto all = scores[i]["logprobs"].get<std::vector<float>>();
      REQUIRE(all.size() == 7 + want[i].size());  // All but the first token.
      CHECK(std::vector<float>(all.begin() + 7, all.end()) == want[i]);
    }
  }
}

TEST_CASE("score: one token has nothing to score, and blank lines are skipped") {
  const Ended ended = troupe({.arguments = {"score", "--model", ran().model},
                              .input = "{\"tokens\":[5]}\n\n  \n{\"tokens\":[5,6]}"});
  REQUIRE(ended.exit_code == 0);
  const auto lines = lines_of(ended.out);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == json{{"logprobs", json::array()}});
  CHECK(lines[1]["logprobs"].size() == 1);
}

TEST_CASE("score: wrong input is named by its line") {
  const std::pair<const char*, const char*> wrongs[] = {
      {"{\"tokens\":[1,2]}\n{", "standard input:2"},
      {"[1]", "standard input:1"},
      {"{\"tokens\":[1,272]}", "token 272"},
      {"{\"tokens\":[1,-1]}", "token ids"},
      {"{\"tokens\":[1,4294967297]}", "token ids"},
      {"{\"tokens\":[1,18446744073709551615]}", "token ids"},
      {"{\"tokens\":[1.5]}", "token ids"},
      {"{\"tokens\":[1,2],\"tokens\":[3,4]}", "is there twice"},
      {"{\"tokens\":[]}", "standard input:1"},
      {"{\"tokens\":5}", "standard input:1"}};
  for (const auto& [input, what] : wrongs) {
    CAPTURE(input);
    const Ended ended = troupe({.arguments = {"score", "--model", ran().model}, .input = input});
    CHECK(ended.exit_code == 2);
    CHECK(ended.error.find(what) != std::string::npos);
    CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
  }
}

// One line on standard error, exit code 2, nothing on standard output, nothing on the disk.
void check_refused(const ShortJob& job, const tests::Invocation& invocation,
                   const std::string& what) {
  CAPTURE(what);
  const auto before = tests::tree(job.folder());
  auto there = invocation;
  there.folder = job.folder();
  const Ended ended = troupe(there);
  CAPTURE(ended.error);
  CHECK(ended.exit_code == 2);
  CHECK(ended.out.empty());
  CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
  CHECK(ended.error.find(what) != std::string::npos);
  CHECK(tests::tree(job.folder()) == before);
}

TEST_CASE("run: wrong input is one line and leaves nothing behind") {
  const ShortJob job;
  check_refused(job, job.run("home", {"grpo.grup_size=8"}), "group_size");
  check_refused(job, job.run("home", {"data.train=none.jsonl"}), "none.jsonl");
  check_refused(job, job.run("home", {"data.held_out=none.jsonl"}), "none.jsonl");
  check_refused(job, job.run("home", {"policy.config=huge-moe"}), "tiny-moe");
  check_refused(job, job.run("home", {"seed=-1"}), "seed");
  // Impossible sizes: too small, too large, and too large only together.
  check_refused(job, job.run("home", {"learner.microbatch_tokens=8"}), "microbatch_tokens");
  check_refused(job, job.run("home", {"rollout.cache_mb=0"}), "cache_mb");
  check_refused(job, job.run("home", {"rollout.max_response_tokens=100000"}), "tokens");
  check_refused(job, job.run("home", {"grpo.group_size=1000000000000"}), "group_size");
  check_refused(job, job.run("home", {"learner.microbatch_tokens=1000000000000"}),
                "microbatch_tokens");
  check_refused(job, job.run("home", {"grpo.steps=3"}), "minibatches_per_round");
  check_refused(job, {.arguments = {"run", job.file("none.toml"), "--json"}}, "none.toml");
  auto unknown = job.run("home");
  unknown.environment = {{"TROUPE_CPU", "sse9"}};
  check_refused(job, unknown, "sse9");

  write_text(job.file("data/bad.jsonl"), contents(job.file("data/train.jsonl")) + "{\"prompt\":\n");
  check_refused(job, job.run("home", {"data.train=data/bad.jsonl"}), "bad.jsonl:201:11: not JSON");
  write_text(job.file("bad.toml"), contents(job.job()) + "\nseed = = 2\n");
  check_refused(job, {.arguments = {"run", job.file("bad.toml"), "--json"}}, "bad.toml:");
}

TEST_CASE("a policy that is damaged is one line for every command that reads one") {
  const ShortJob job;
  const std::string folder = job.file("policy");
  fs::copy(ran().model, folder);
  const std::string weights = contents(folder + "/model.safetensors");
  const std::string config = contents(folder + "/config.json");
  const auto check_all = [&](const std::string& what) {
    check_refused(job, job.run("home", {"policy.config=", "policy.model=" + folder}), what);
    check_refused(job,
                  {.arguments = {"eval", "--model", folder, "--data",
                                 job.file("data/held_out.jsonl"), "--json"}},
                  what);
    check_refused(job, {.arguments = {"generate", "--model", folder, "--prompt", "1"}}, what);
    check_refused(job, {.arguments = {"score", "--model", folder}, .input = "{\"tokens\":[1]}"},
                  what);
  };
  write_text(folder + "/model.safetensors", weights.substr(0, weights.size() - 1000));
  check_all("model.safetensors");
  write_text(folder + "/model.safetensors", weights.substr(0, 4));
  check_all("model.safetensors");
  write_text(folder + "/model.safetensors", weights);
  auto changed = json::parse(config);
  changed["hidden_size"] = 1 << 18;
  changed["vocab_size"] = 1 << 20;
  write_text(folder + "/config.json", changed.dump());
  check_all("model.safetensors");
  changed = json::parse(config);
  changed["num_hidden_layers"] = 1000000000;
  write_text(folder + "/config.json", changed.dump());
  check_all("num_hidden_layers");
}

TEST_CASE("a policy with another vocabulary is refused where the byte tokenizer is needed") {
  const ShortJob job;
  const std::string other = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/case_a";
  check_refused(job, job.run("home", {"policy.config=", "policy.model=" + other}), "vocabulary");
  check_refused(job,
                {.arguments = {"eval", "--model", other, "--data", job.file("data/held_out.jsonl"),
                               "--max-response-tokens", "8"}},
                "vocabulary");
  check_refused(job, {.arguments = {"generate", "--model", other, "--prompt", "1+1"}},
                "vocabulary");
}

TEST_CASE("export: the same bits, in a folder that was not there") {
  const ShortJob job;
  const std::string out = job.file("exported");
  const std::vector<std::string> command = {"export", "--model", ran().model, "--out", out};
  const Ended ended = troupe(command);
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  CHECK(ended.out == out + ": 797728 parameters as bfloat16\n");
  for (const char* name : {"config.json", "model.safetensors", "tokenizer_config.json"}) {
    CHECK(contents(out + "/" + name) == contents(ran().model + "/" + name));
  }
  const Ended again = troupe(command);
  CHECK(again.exit_code == 2);
  CHECK(again.error.find(out) != std::string::npos);
  const Ended wide = troupe(
      {"export", "--model", ran().model, "--out", job.file("wide") + "/", "--dtype", "float32"});
  REQUIRE_MESSAGE(wide.exit_code == 0, wide.error);
  CHECK(model::load_checkpoint(job.file("wide"))->values ==
        model::load_checkpoint(ran().model)->values);
}

TEST_CASE("generate: a chat template is run, or refused by what cannot be done and its line") {
  const ShortJob job;
  const std::string folder = job.file("policy");
  fs::copy(ran().model, folder);
  const std::vector<std::string> command = {"generate", "--model", folder, "--prompt", "1+1=?"};
  write_text(folder + "/tokenizer_config.json",
             R"({"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"})");
  CHECK(troupe(command).exit_code == 0);
  write_text(
      folder + "/tokenizer_config.json",
      R"({"chat_template": "{% for m in messages %}\n{{ m.content | urlize }}{% endfor %}"})");
  const Ended refused = troupe(command);
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("chat_template:2: the filter 'urlize' is not known") !=
        std::string::npos);
  auto named = command;
  named.insert(named.end(), {"--template", "plain"});
  CHECK(troupe(named).exit_code == 0);
}

TEST_CASE("run: an interrupt ends with code 3 and a checkpoint that loads") {
  const ShortJob job;
  Process process(job.run("home", {"sft.steps=100000"}));
  REQUIRE(process.says("sft 1/"));
  process.signal(SIGINT);
  const Ended ended = process.wait();
  CAPTURE(ended.error);
  CHECK(ended.exit_code == 3);
  const auto lines = lines_of(ended.out);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["state"] == "stopped");
  CHECK(lines[0]["steps"] < 100000);
  const auto checkpoint = model::load_checkpoint(lines[0]["checkpoint"]);
  REQUIRE(checkpoint);
  CHECK(model::checkpoint_sha256(checkpoint->config, checkpoint->values) ==
        lines[0]["weights_sha256"]);
}

}  // namespace
}  // namespace troupe
