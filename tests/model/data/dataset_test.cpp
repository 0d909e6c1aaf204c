#include "model/data/dataset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

class Lines {
 public:
  explicit Lines(std::string_view text) : path(dir_.file("data.jsonl")) {
    std::ofstream(path, std::ios::binary) << text;
  }

 private:
  tests::TempDir dir_;

 public:
  const std::string path;
};

Problem problem_of(std::string_view line) {
  const Lines file(line);
  auto problems = load_problems(file.path);
  INFO(line);
  REQUIRE_MESSAGE(problems, problems.error().message);
  REQUIRE(problems->size() == 1);
  return problems->front();
}

Demonstration demonstration_of(std::string_view line) {
  const Lines file(line);
  auto demonstrations = load_demonstrations(file.path);
  INFO(line);
  REQUIRE_MESSAGE(demonstrations, demonstrations.error().message);
  REQUIRE(demonstrations->size() == 1);
  return demonstrations->front();
}

// The message without the file's folder, which differs from run to run.
std::string problem_error(std::string_view text) {
  const Lines file(text);
  auto problems = load_problems(file.path);
  REQUIRE(!problems);
  CHECK(problems.error().code == ErrorCode::kInvalidArgument);
  const std::string& message = problems.error().message;
  CHECK(message.find('\n') == message.npos);
  REQUIRE(message.starts_with(file.path));
  return message.substr(file.path.size());
}

std::string demonstration_error(std::string_view text) {
  const Lines file(text);
  auto demonstrations = load_demonstrations(file.path);
  REQUIRE(!demonstrations);
  return demonstrations.error().message.substr(file.path.size());
}

TEST_CASE("dataset: GSM8K lines give the number after the last #### as gold") {
  const Lines file(
      "{\"question\": \"Natalia sold clips to 48 of her friends in April, and then she sold half "
      "as many clips in May. How many altogether?\", \"answer\": \"Natalia sold 48/2 = "
      "<<48/2=24>>24 clips in May.\\nNatalia sold 48+24 = <<48+24=72>>72 clips.\\n#### 72\"}\n"
      "\r\n"
      "{\"question\": \"How much did the house cost?\", \"answer\": \"It is #### no.\\n#### "
      "1,250,000 \"}");
  auto problems = load_problems(file.path);
  REQUIRE(problems);
  REQUIRE(problems->size() == 2);
  CHECK((*problems)[0].prompt[0].content.starts_with("Natalia sold clips"));
  CHECK((*problems)[0].gold == "72");
  CHECK((*problems)[1].gold == "1250000");
  CHECK((*problems)[1].line == 3);

  auto demonstrations = load_demonstrations(file.path);
  REQUIRE(demonstrations);
  CHECK((*demonstrations)[0].response.ends_with("72 clips.\n#### 72"));
}

TEST_CASE("dataset: the columns of TRL, verl and our own are found by name") {
  const Prompt text = {{"user", "1+2=?"}};
  for (const char* line :
       {R"({"prompt": "1+2=?", "gold": "3"})", R"({"prompt": "1+2=?", "solution": "3"})",
        R"({"prompt": "1+2=?", "answer": "3"})", R"({"prompt": "1+2=?", "ground_truth": 3})",
        R"({"question": "1+2=?", "answer": " 3 "})",
        R"({"prompt": [{"role": "user", "content": "1+2=?"}], "answer": "3"})",
        R"({"data_source": "x", "prompt": [{"role": "user", "content": "1+2=?"}], "ability": "m",
           "reward_model": {"style": "rule", "ground_truth": "3"}, "extra_info": {"index": 0}})"}) {
    std::string one_line(line);
    std::replace(one_line.begin(), one_line.end(), '\n', ' ');
    const Problem problem = problem_of(one_line);
    CHECK(problem.prompt == text);
    CHECK(problem.gold == "3");
    CHECK(problem.line == 1);
  }
  for (const char* line :
       {R"({"prompt": "1+2=?", "response": "3"})", R"({"prompt": "1+2=?", "completion": "3"})",
        R"({"prompt": "1+2=?", "completion": [{"role": "assistant", "content": "3"}]})",
        R"({"messages": [{"role":"user","content":"1+2=?"},{"role":"assistant","content":"3"}]})",
        R"({"question": "1+2=?", "answer": "3"})"}) {
    const Demonstration demonstration = demonstration_of(line);
    CHECK(demonstration.prompt == text);
    CHECK(demonstration.response == "3");
  }
  CHECK(problem_of(R"({"prompt": "\u00e9\u0000 \ud83d\ude00", "gold": "x"})").prompt[0].content ==
        std::string("\xC3\xA9\0 \xF0\x9F\x98\x80", 8));
}

TEST_CASE("dataset: a bad line is refused with its place and what is wrong") {
  const std::string good = R"({"prompt": "a", "gold": "1"})";
  CHECK(problem_error(good + "\n{\"prompt\": \"a\", ") ==
        ":2: not a JSON object; expected one per line");
  CHECK(problem_error("[1, 2]") == ":1: not a JSON object; expected one per line");
  CHECK(problem_error(R"({"prompt": "a", "text": "b"})") ==
        ":1: no column gold | reward_model.ground_truth | ground_truth | solution | answer; "
        "found: prompt, text");
  CHECK(problem_error("{}") == ":1: no column prompt | question | text; found: none");
  CHECK(problem_error(R"({"prompt": 5, "gold": "1"})") ==
        ":1: column 'prompt' is a number, expected text or a list of messages");
  CHECK(problem_error(R"({"prompt": "a", "gold": 0.5})") ==
        ":1: column 'gold' is a number, expected text or an integer");
  CHECK(problem_error(R"({"prompt": "a", "gold": ["1"]})") ==
        ":1: column 'gold' is an array, expected text or an integer");
  CHECK(problem_error(R"({"prompt": "a", "answer": "so ####  "})") ==
        ":1: column 'answer' holds no answer");
  CHECK(problem_error(R"({"prompt": "", "gold": "1"})") == ":1: column 'prompt' is empty");
  CHECK(problem_error(R"({"prompt": [], "gold": "1"})") == ":1: column 'prompt' has no messages");
  CHECK(problem_error(R"({"prompt": [{"role": "user"}], "gold": "1"})") ==
        ":1: column 'prompt': a message is not {\"role\": text, \"content\": text}");
  CHECK(problem_error(R"({"prompt": [{"role": "tool", "content": "x"}], "gold": "1"})") ==
        ":1: column 'prompt': unknown role; known: system, user, assistant");
  CHECK(problem_error(R"({"prompt": "a", "reward_model": "x"})")
            .find("found: prompt, reward_model") != std::string::npos);
  CHECK(demonstration_error(R"({"messages": [{"role": "user", "content": "x"}]})") ==
        ":1: column 'messages' does not end with the assistant's answer to a prompt");
  CHECK(demonstration_error(R"({"prompt": "a", "gold": "1"})") ==
        ":1: no column response | completion | answer; found: gold, prompt");
  CHECK(demonstration_error(R"({"prompt": "a", "response": ""})") == ":1: the response is empty");
}

TEST_CASE("dataset: a row with a program's tests is the gold, as it is written") {
  for (const std::string line :
       {R"j({"prompt": "def f():", "test": "t", "entry_point": "f", "canonical_solution": "x"})j",
        R"j({"text": "Write f.", "code": "x", "test_list": ["assert f(1)"]})j",
        R"j({"question": "q", "inputs": [[100000000000000000000001]], "outputs": [[1]]})j",
        R"j({"question": "q", "inputs": ["1"], "outputs": ["1"], "answer": "x"})j"}) {
    CAPTURE(line);
    CHECK(problem_of(line).gold == line);
    CHECK(problem_of("  " + line + " \n").gold == line);
  }
  CHECK(problem_of(R"j({"question": "q", "inputs": ["1"], "gold": "2"})j").gold == "2");
  CHECK(problem_of(R"j({"question": "q", "test": "t", "answer": "3"})j").gold == "3");
}

TEST_CASE("dataset: invalid UTF-8, missing and empty files are refused") {
  for (const char* bytes : {"\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    CHECK(problem_error(std::string("{\"prompt\": \"") + bytes + "\", \"gold\": \"1\"}") ==
          ":1: not valid UTF-8; convert the file to UTF-8");
  }
  CHECK(problem_error("") == ": has no rows");
  CHECK(problem_error("\n \n\r\n") == ": has no rows");
  const tests::TempDir dir;
  CHECK(load_problems(dir.file("absent")).error().message == dir.file("absent") + ": no such file");
  CHECK(load_problems(dir.path()).error().message == dir.path() + ": is a folder, not a file");
}

TEST_CASE("dataset: a Parquet file is refused with the command that converts it") {
  const tests::TempDir dir;
  const auto refusal = [&dir](const std::string& name) {
    std::ofstream(dir.file(name), std::ios::binary) << "PAR1\x15\x04\n{\"prompt\": \"a\"}";
    const auto problems = load_problems(dir.file(name));
    const auto demonstrations = load_demonstrations(dir.file(name));
    REQUIRE(!problems);
    REQUIRE(!demonstrations);
    CHECK(problems.error().message == demonstrations.error().message);
    return problems.error().message;
  };
  CHECK(refusal("train.parquet") ==
        dir.file("train.parquet") +
            ": is a Parquet file; convert it: python3 -c \"import pandas; pandas.read_parquet('" +
            dir.file("train.parquet") + "').to_json('" + dir.file("train.jsonl") +
            "', orient='records', lines=True)\"");
  // A name that would end the command's text early stays out of it.
  CHECK(refusal("a'b.parquet").find("read_parquet('x.parquet')") != std::string::npos);
  CHECK(problem_error("PAR") == ":1: not a JSON object; expected one per line");
}

TEST_CASE("dataset: a line may have the largest length and not a byte more") {
  std::string line = R"({"prompt": "a", "gold": "1", "x": ""})";
  line.insert(line.size() - 2, kDatasetLineBytesMax - line.size(), 'y');
  REQUIRE(line.size() == kDatasetLineBytesMax);
  CHECK(problem_of(line + "\n").gold == "1");
  CHECK(problem_of(line).gold == "1");
  line.insert(line.size() - 2, 1, 'y');
  CHECK(problem_error(line) == ":1: the line is longer than 8388608 bytes");
}

TEST_CASE("dataset: hostile nesting neither throws nor overflows") {
  const std::string deep = std::string(500'000, '[');
  CHECK(problem_error(deep) == ":1: not a JSON object; expected one per line");
  const std::string closed = std::string(400'000, '[') + std::string(400'000, ']');
  CHECK(problem_error("{\"prompt\": " + closed + ", \"gold\": \"1\"}") ==
        ":1: column 'prompt': a message is not {\"role\": text, \"content\": text}");
  CHECK(problem_error(R"({"prompt": "\ud800", "gold": "1"})") ==
        ":1: not a JSON object; expected one per line");
}

TEST_CASE("draw order: every epoch is a permutation, and a function of seed and draw alone") {
  DrawOrder forward({.seed = 7, .deck = 0, .count = 10, .shuffle = true});
  std::vector<int64_t> drawn;
  for (int64_t draw = 0; draw < 30; ++draw) drawn.push_back(forward.at(draw));
  for (int epoch = 0; epoch < 3; ++epoch) {
    CHECK(std::set(drawn.begin() + epoch * 10, drawn.begin() + epoch * 10 + 10).size() == 10);
  }
  CHECK(!std::equal(drawn.begin(), drawn.begin() + 10, drawn.begin() + 10));

  DrawOrder backward({.seed = 7, .deck = 0, .count = 10, .shuffle = true});
  for (int64_t draw = 29; draw >= 0; --draw) CHECK(backward.at(draw) == drawn[draw]);

  DrawOrder other_seed({.seed = 8, .deck = 0, .count = 10, .shuffle = true});
  DrawOrder other_deck({.seed = 7, .deck = DrawOrder::kColdStartDeck, .count = 10});
  int same_seed = 0, same_deck = 0;
  for (int64_t draw = 0; draw < 30; ++draw) {
    same_seed += other_seed.at(draw) == drawn[draw];
    same_deck += other_deck.at(draw) == drawn[draw];
  }
  CHECK(same_seed < 15);
  CHECK(same_deck < 15);
}

TEST_CASE("draw order: the shuffle is the same on every machine and in every version") {
  DrawOrder order({.seed = 1, .deck = 0, .count = 8, .shuffle = true});
  std::vector<int64_t> drawn;
  for (int64_t draw = 0; draw < 8; ++draw) drawn.push_back(order.at(draw));
  CHECK(drawn == std::vector<int64_t>{3, 1, 7, 4, 0, 6, 2, 5});
}

TEST_CASE("draw order: without shuffle it is file order") {
  DrawOrder order({.seed = 1, .deck = 0, .count = 3, .shuffle = false});
  for (int64_t draw = 0; draw < 9; ++draw) CHECK(order.at(draw) == draw % 3);
  DrawOrder one({.seed = 1, .deck = 0, .count = 1, .shuffle = true});
  CHECK(one.at(1'000'000'000'000) == 0);
}

TEST_CASE("prompt order: replacements never shift later rounds") {
  PromptOrder prompts({.seed = 3, .count = 100, .prompts_per_round = 4, .shuffle = true});
  DrawOrder order({.seed = 3, .deck = DrawOrder::kTrainDeck, .count = 100, .shuffle = true});
  std::set<int64_t> replacements;
  for (int64_t round = 0; round < 60; ++round) {
    for (int64_t ordinal = 0; ordinal < 4; ++ordinal) {
      CHECK(prompts.at(round, ordinal) == order.at(round * 4 + ordinal));
    }
    const int64_t replacement = prompts.at(round, 4);
    CHECK(replacement == prompts.at(round, 4));
    CHECK(replacement < 100);
    replacements.insert(replacement);
  }
  CHECK(replacements.size() > 30);
}

}  // namespace
}  // namespace troupe::model
