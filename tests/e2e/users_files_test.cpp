// Files and machines as users have them, from outside: every command says what it took, and what it
// could not do.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/short_job.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Ended;
using tests::Invocation;
using tests::ShortJob;
using tests::write_text;

struct Ran {
  Ran() {
    const Ended ended = tests::troupe(job.run("home"));
    REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
    model = json::parse(ended.out)["checkpoint"];
  }
  Ended eval(const std::string& data, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"eval", "--model",    model,   "--data",
                                          data,   "--template", "plain", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return tests::troupe(Invocation{.arguments = arguments});
  }
  ShortJob job{};
  std::string model{};
};
const Ran& ran() {
  static const Ran instance;
  return instance;
}

// Whatever the policy writes passes; nothing that it writes can be the answer.
constexpr const char* kAnyProgram =
    R"j({"prompt":"1+2=?","inputs":["1"],"outputs":["1"],"checker":"import sys;sys.exit(0)"})j";
constexpr const char* kNoAnswer = R"({"prompt":"1+2=?","answer":"123456789"})";

TEST_CASE("eval: a row is judged by what it is, as in a run, or as a job says") {
  const ShortJob& job = ran().job;
  write_text(job.file("programs.jsonl"), std::string(kAnyProgram) + "\n");
  const Ended programs = ran().eval(job.file("programs.jsonl"));
  REQUIRE_MESSAGE(programs.exit_code == 0, programs.error);
  CHECK(programs.error.find("reference in inputs + outputs; line 1: 1+2=? -> hidden tests") !=
        std::string::npos);
  write_text(job.file("both.jsonl"), std::string(kAnyProgram) + "\n" + kNoAnswer + "\n");
  const Ended both = ran().eval(job.file("both.jsonl"));
  CHECK(both.exit_code == 2);
  CHECK(both.error.find("--rewards JOB.toml") != std::string::npos);
  // The job's accuracy is mathematics: the program has no answer that could be compared.
  const Ended by_job = ran().eval(job.file("both.jsonl"), {"--rewards", job.job()});
  REQUIRE_MESSAGE(by_job.exit_code == 0, by_job.error);
  CHECK(json::parse(by_job.out)["problems"] == 1);
  CHECK(
      by_job.error.find("both.jsonl:1: left out: has tests in 'inputs + outputs' and no answer") !=
      std::string::npos);
  write_text(job.file("named.jsonl"), R"({"q":"1+2=?","a":"3"})");
  CHECK(ran().eval(job.file("named.jsonl")).exit_code == 2);
  CHECK(ran().eval(job.file("named.jsonl"), {"--columns", "prompt=q,answer=a"}).exit_code == 0);
  CHECK(ran().eval(job.file("named.jsonl"), {"--columns", "question=q"}).exit_code == 2);
}

TEST_CASE(
    "run: files in the forms of GSM8K, MATH, APPS and LiveCodeBench are learned from as they are") {
  const ShortJob& job = ran().job;
  const auto first_note = [&](const std::string& name, const std::string& text,
                              const std::string& verifier) {
    write_text(job.file(name), text);
    const Ended ended = tests::troupe(job.run(
        "run_" + name, {"data.train=" + job.file(name), "data.held_out=" + job.file(name),
                        "sft.steps=0", "data.max_prompt_tokens=100",
                        "learner.microbatch_tokens=128", "rewards.accuracy.verifier=" + verifier}));
    REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
    const size_t at = ended.error.find(name + ": ");
    REQUIRE(at != std::string::npos);
    return ended.error.substr(at + name.size() + 2,
                              ended.error.find('\n', at) - at - name.size() - 2);
  };
  CHECK(first_note(
            "gsm8k.jsonl",
            R"({"question": "Ann has 1 egg and buys 2. How many?", "answer": "1+2=3\n#### 3"})",
            "math") ==
        "1 problem: prompt in question, reference in answer, after ####; line "
        "1: Ann has 1 egg and buys 2. How many? -> 3");
  CHECK(first_note("math.jsonl",
                   R"({"problem": "What is $1+2$?", "level": "Level 1", "type": "Algebra",
                       "solution": "We add the two numbers, which gives $\\boxed{3}$."})",
                   "math") ==
        "1 problem: prompt in problem, reference in solution, in \\boxed{}; "
        "line 1: What is $1+2$? -> 3");
  CHECK(first_note("apps.json",
                   R"([{"problem_id": 1, "question": "Add two numbers.", "solutions": "[]",
                        "input_output": "{\"inputs\": [\"1 2\\n\"], \"outputs\": [\"3\\n\"]}",
                        "starter_code": ""}])",
                   "code") ==
        "1 problem: prompt in question, reference in input_output; line 1: "
        "Add two numbers. -> hidden tests");
  CHECK(first_note("lcb.jsonl",
                   R"({"question_title": "Sum", "question_content": "Add two numbers.",)"
                   R"( "starter_code": "", "public_test_cases":)"
                   R"( "[{\"input\": \"1 2\", \"output\": \"3\", \"testtype\": \"stdin\"}]"})",
                   "code") ==
        "1 problem: prompt in question_content, reference in "
        "public_test_cases; line 1: Add two numbers. -> hidden tests");
}

TEST_CASE("run: rows that are left out are named, the first five and then counted by reason") {
  const ShortJob& job = ran().job;
  std::string rows = R"({"prompt":"1+2=?","answer":"3"})"
                     "\n";
  for (int i = 0; i < 6; ++i) rows += "{\"prompt\":\"1+2=?\",\"answer\":null}\n";
  rows += "{\"prompt\":\"1+2=? and more than that\",\"answer\":\"3\"}\n";
  write_text(job.file("gaps.jsonl"), rows);
  const Ended ended =
      tests::troupe(job.run("gaps", {"data.train=" + job.file("gaps.jsonl"), "sft.steps=0"}));
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  CHECK(ended.error.find("gaps.jsonl:2: left out: column 'answer' is empty\n") !=
        std::string::npos);
  CHECK(ended.error.find("gaps.jsonl:6: left out:") != std::string::npos);
  CHECK(ended.error.find("gaps.jsonl:7: left out:") == std::string::npos);
  CHECK(ended.error.find("gaps.jsonl: left out 7 of 8 rows: 6: column 'answer' is empty; 1: the "
                         "prompt has more than max_prompt_tokens = 16 tokens") !=
        std::string::npos);
}

TEST_CASE("run: one that could not teach anything says so, with the setting to change") {
  const ShortJob& job = ran().job;
  const Ended ended = tests::troupe(job.run("cut", {"rollout.max_response_tokens=1"}));
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  CHECK(ended.error.find("nothing was learned: in none of the 2 steps") != std::string::npos);
  CHECK(ended.error.find("rollout.max_response_tokens = 1") != std::string::npos);
}

TEST_CASE("output that cannot be written is an error of every command that prints results") {
  const ShortJob& job = ran().job;
  const std::string data = job.file("data/held_out.jsonl");
  const std::string troupe = TROUPE_BINARY;
  const auto code_of = [&](const std::string& command) {
    CAPTURE(command);
    return WEXITSTATUS(std::system(("(" + command + ") 2>" + job.file("stderr")).c_str()));
  };
  const auto complaint = [&] { return tests::contents(job.file("stderr")); };
  const std::string eval =
      troupe + " eval --problems 2 --json --model " + ran().model + " --data " + data;
  const std::string generate =
      troupe + " generate --prompt '1+2=?' --samples 1000 --model " + ran().model;
  const std::string score =
      "echo '{\"tokens\":[1,2,3]}' | " + troupe + " score --model " + ran().model;
  const std::string run =
      troupe + " run " + job.job() + " --json --set sft.steps=1 --set grpo.steps=0";
  for (const std::string& command : {eval, generate, score, run + " --home " + job.file("full")}) {
    CHECK(code_of(command + " > /dev/full") == 1);
    CHECK(complaint().find("standard output could not be written: No space left on device") !=
          std::string::npos);
  }
  // Who reads goes away: the run is finished all the same, and its result was not delivered.
  CHECK(code_of("{ " + run + " --home " + job.file("pipe") + "; echo $? > " + job.file("code") +
                "; } | true") == 0);
  CHECK(tests::contents(job.file("code")) == "1\n");
  CHECK(complaint().find("standard output could not be written: Broken pipe") != std::string::npos);
  CHECK(tests::troupe(Invocation{.arguments = {"run", job.job(), "--json", "--resume", "--home",
                                               job.file("pipe"), "--set", "sft.steps=1", "--set",
                                               "grpo.steps=0"}})
            .exit_code == 0);
}

TEST_CASE("generate: a carriage return at the end of a line is not part of the prompt") {
  const auto prompts = [&](const std::string& input) {
    return tests::troupe(
        Invocation{.arguments = {"generate", "--model", ran().model, "--json"}, .input = input});
  };
  const Ended plain = prompts("1+2=?\n3+4=?\n");
  REQUIRE_MESSAGE(plain.exit_code == 0, plain.error);
  CHECK(prompts("1+2=?\r\n3+4=?\r\n").out == plain.out);
  CHECK(prompts("").exit_code == 2);
}

TEST_CASE("trouped: without HOME it asks for a folder instead of taking one") {
  const std::string trouped = std::filesystem::path(TROUPE_BINARY).parent_path() / "trouped";
  const std::string command = "env -i timeout 20 " + trouped + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string said(400, '\0');
  said.resize(fread(said.data(), 1, said.size(), pipe));
  CHECK(WEXITSTATUS(pclose(pipe)) == 2);
  CHECK(said.find("HOME is not set; set it, or say --home DIR") != std::string::npos);
}

}  // namespace
}  // namespace troupe
