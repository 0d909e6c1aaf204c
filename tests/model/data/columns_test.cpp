#include "model/data/columns.h"

#include <doctest/doctest.h>

#include <variant>

#include "model/data/json_row.h"
#include "model/data/row_file.h"

namespace troupe::model {
namespace {

using Wanted = WantedReference;

Result<ProblemRow> read(std::string_view text, Wanted wanted = Wanted::kShortAnswerOrTests,
                        const ColumnNames& columns = {}) {
  FileRow row{.line = 3, .text = std::string(text)};
  REQUIRE_MESSAGE(!read_json(text, row.object), std::string(text));
  return read_problem("f", row, wanted, columns);
}

std::string refusal(std::string_view text, Wanted wanted = Wanted::kShortAnswerOrTests,
                    const ColumnNames& columns = {}) {
  CAPTURE(text);
  const auto row = read(text, wanted, columns);
  if (row) return "read: " + row->problem.gold + row->unusable.reason;
  CHECK(row.error().message.starts_with("f:3: "));
  return row.error().message.substr(5);
}

std::string unusable(std::string_view text, Wanted wanted) {
  CAPTURE(text);
  const auto row = read(text, wanted);
  REQUIRE_MESSAGE(row, row.error().message);
  return row->unusable.reason;
}

ReadProblem problem(std::string_view text, Wanted wanted = Wanted::kShortAnswerOrTests,
                    const ColumnNames& columns = {}) {
  CAPTURE(text);
  auto row = read(text, wanted, columns);
  REQUIRE_MESSAGE(row, row.error().message);
  REQUIRE_MESSAGE(row->is_usable(), row->unusable.reason);
  return row->problem;
}

TEST_CASE("columns: a row that can be read in two ways is refused with both named") {
  CHECK(refusal(R"({"question": "a", "gold": "7", "answer": "8"})") ==
        "the answer may be in 'gold' or in 'answer', which differ; say which with [data] columns = "
        "{ answer = \"gold\" }");
  CHECK(refusal(R"({"prompt": "a", "question": "b", "answer": "8"})") ==
        "the prompt may be in 'prompt' or in 'question', which differ; say which with [data] "
        "columns = { prompt = \"prompt\" }");
  CHECK(refusal(R"({"Answer": "1", "answer": "2", "question": "a"})").find("may be in") !=
        std::string::npos);
  CHECK(refusal(R"({"question": "a", "label": "x", "target": "y"})").find("may be in 'label'") !=
        std::string::npos);
  const char* both = R"({"question": "q", "inputs": ["1"], "outputs": ["1"], "answer": "x"})";
  CHECK(refusal(both).find("an answer in 'answer' and tests in 'inputs + outputs'") !=
        std::string::npos);
  CHECK(refusal(both, Wanted::kAny).find("an answer in 'answer' and tests in") !=
        std::string::npos);
  // A job says which.
  CHECK(problem(both, Wanted::kTests).gold == both);
  CHECK(problem(both, Wanted::kShortAnswer).gold == "x");
  CHECK(problem(both, Wanted::kAny, {.answer = "answer"}).gold == "x");
  CHECK(problem(both, Wanted::kAny, {.answer = "inputs"}).gold == both);
}

TEST_CASE("columns: what belongs to the question and is not in the prompt is not left away") {
  CHECK(refusal(R"({"question": "Which?", "choices": ["red", "blue"], "answer": "A"})")
            .find("the choices in 'choices'") != std::string::npos);
  CHECK(refusal(R"({"question": "Who?", "context": "Ann was here.", "answer": "Ann"})")
            .find("the text in 'context'") != std::string::npos);
  CHECK(problem(R"({"question": "Which? A. red B. blue", "options": ["red","blue"], "answer":"A"})")
            .gold == "A");
  CHECK(problem(R"({"question": "Which?", "options": null, "choices": [], "answer":"A"})").gold ==
        "A");
}

TEST_CASE("columns: choices that no policy is shown are refused in every shape") {
  for (const char* choices :
       {R"("choices": {"text": ["red", "blue"], "label": ["A", "B"]})",
        R"("options": {"A": "red", "B": "blue"})", R"("choices": "['red', 'blue']")",
        R"("options": "a ) red , b ) blue")", R"("options": "[\"red\", \"blue\"]")",
        R"("choices": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}])",
        R"("choices": [1, 2.5])", R"("A": "red", "B": "blue", "C": "green")",
        R"("option_a": "red", "option_b": "blue")", R"("optionA": "red", "optionB": "blue")",
        R"("opa": "red", "opb": "blue")", R"("Option 1": "red", "Option 2": "blue")"}) {
    const std::string columns = std::string(", ") + choices + R"(, "answer": "B"})";
    CHECK(refusal(R"({"question": "Which?")" + columns).starts_with("the choices in '"));
    CHECK(problem(R"({"question": "Which? (A) red 1 (B) blue 2.5 (C) green")" + columns).gold ==
          "B");
  }
  // The same names with something else in them.
  CHECK(problem(R"({"question": "Add a and b.", "a": 2, "b": 3, "answer": "5"})").gold == "5");
  CHECK(problem(R"({"question": "1+2?", "options": false, "answer": "3"})").gold == "3");
}

TEST_CASE("columns: a choice's position is not taken for its letter") {
  const std::string question = R"({"question": "Which? A. red B. blue", "choices": ["red","blue"])";
  CHECK(refusal(question + R"(, "answer": 1})")
            .starts_with("the answer 1 in 'answer' is none of the choices in 'choices'"));
  CHECK(refusal(question + R"(, "answer": "0"})").starts_with("the answer 0 in 'answer' is none"));
  CHECK(problem(question + R"(, "answer": "B"})").gold == "B");
  CHECK(problem(R"({"question": "1+1? A. 1 B. 2", "choices": ["1", "2"], "answer": 2})").gold ==
        "2");
  CHECK(problem(R"({"question": "1+1? A. 1 m B. 2 m", "choices":["1 m", "2 m"], "answer": 2})")
            .gold == "2");
}

TEST_CASE("columns: a passage, an input, pictures and tools are not left away") {
  for (const char* passage :
       {R"("article": "Ann was here.")", R"("story": "Ann was here.")",
        R"("paragraph": "Ann was here.")", R"("document": "Ann was here.")",
        R"("documents": ["Ann was here."])", R"("contexts": ["Ann was here."])",
        R"("context": {"title": ["Ann"], "sentences": [["Ann was here."]]})",
        R"("context": ["Ann was here."])", R"("table": "a|b\n1|2")", R"("input": "x = 3")"}) {
    const std::string row = std::string(R"({"question": "Who?", )") + passage;
    CHECK(refusal(row + R"(, "answer": "Ann"})").starts_with("the text in '"));
  }
  CHECK(problem(R"({"question": "Ann was here. Who?", "context": ["Ann was here."],
                    "answer": "Ann"})")
            .gold == "Ann");
  CHECK(problem(R"({"question": "1+2?", "table": "t1", "document": "d-7", "answer": 3})").gold ==
        "3");
  CHECK(problem(R"({"prompt": "Add.\nx = 3", "input": "x = 3", "answer": 3})").gold == "3");
  CHECK(refusal(R"({"problem": "<image>Find x", "images": [{"path": "a.png"}], "answer": 4})")
            .starts_with("column 'images' has pictures"));
  CHECK(refusal(R"({"problem": "Find x", "image": "1.png", "answer": 4})")
            .starts_with("column 'image' has pictures"));
  CHECK(refusal(R"({"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function"}],
                    "answer": 4})")
            .starts_with("column 'tools' has tools"));
  CHECK(problem(R"({"problem": "Find x", "images": [], "image": {"bytes": null, "path": null},
                    "image_1": null, "tools": "[]", "answer": 4})")
            .gold == "4");
}

TEST_CASE("columns: what a data set writes in place of an answer is no gold") {
  for (const char* none : {"proof", "Proof", "not found", "nan", "NaN", "N/A", "null", "<NA>"}) {
    const std::string row = std::string(R"({"problem": "a", "answer": ")") + none + "\"}";
    CHECK(unusable(row, Wanted::kShortAnswer).ends_with("which is no answer"));
    CHECK(problem(row, Wanted::kAny).gold == none);
  }
  CHECK(problem(R"({"problem": "a", "answer": "None"})").gold == "None");
  CHECK(unusable(R"({"question": "a", "final_answer": ["2", "5"], "is_multiple_answer": true})",
                 Wanted::kShortAnswer)
            .find("of which all are wanted") != std::string::npos);
  CHECK(
      problem(R"({"question": "a", "final_answer": ["2, 5"], "is_multiple_answer": true})").gold ==
      "2, 5");
  CHECK(problem(R"({"question": "a", "final_answer": ["2", "5"], "is_multiple_answer": false})")
            .gold == R"(["2","5"])");
  CHECK(refusal(R"({"prompt": "a", "completion": "b", "label": true})")
            .find("whether a completion is a good one") != std::string::npos);
  CHECK(problem(R"({"prompt": "a", "label": true})").gold == "true");
}

TEST_CASE("columns: messages as Python prints them are not a prompt's text") {
  for (const char* text :
       {"[{'role': 'user', 'content': 'a'}]", "[{'content': 'a', 'role': 'user'}]",
        "[ {'from': 'human', 'value': 'a'}]",
        "array([{'role': 'user', 'content': 'a'}], dtype=object)"}) {
    CHECK(refusal(std::string(R"({"prompt": ")") + text + R"(", "answer": "1"})")
              .find("as Python prints it") != std::string::npos);
  }
  CHECK(problem(R"({"prompt": "[{'a': 1}] is a list. Its length?", "answer": "1"})").gold == "1");
}

TEST_CASE("columns: wrong types and unknown layouts are refused in words") {
  CHECK(refusal(R"({"prompt": "a", "comment": "b"})") ==
        "no answer column gold | reward_model.ground_truth | ground_truth | expected_answer | "
        "final_answer | answer | reference_answer | correct_answer | gold_answer | golden_answers "
        "| label | target | solution; found: comment, prompt; name it with [data] columns");
  CHECK(refusal("{}").starts_with("no prompt column prompt | question | problem | "));
  CHECK(refusal(R"({"data": [{"question": "a", "answer": "1"}]})")
            .ends_with("; are the rows in 'data'? Write that list alone"));
  CHECK(refusal(R"({"prompt": 5, "gold": "1"})") ==
        "column 'prompt' is a number, expected text or a list of messages");
  CHECK(refusal(R"({"prompt": "a", "gold": {"x": 1}})") ==
        "column 'gold' is an object, expected text, a number or a list of them");
  CHECK(refusal(R"({"prompt": "a", "gold": [["1"]]})") ==
        "column 'gold' is an array, expected text, a number or a list of them");
  CHECK(refusal(R"({"prompt": [{"role": "user"}], "gold": "1"})") ==
        "column 'prompt': a message is not {\"role\": text, \"content\": text}");
  CHECK(refusal(R"({"prompt": [{"role": "tool", "content": "x"}], "gold": "1"})") ==
        "column 'prompt': unknown role; known: system, user, assistant");
  CHECK(refusal(R"({"prompt": [{"role":"user","content":[{"type":"image"}]}], "gold": "1"})")
            .find("pictures and tools are not read") != std::string::npos);
  CHECK(refusal(R"({"prompt": "a", "x": "1"})", Wanted::kTests)
            .starts_with("no tests in a known form: test + entry_point"));
  CHECK(refusal(R"({"p": "a", "answer": "1"})", Wanted::kAny, {.prompt = "q"}) ==
        "no column 'q' with a prompt in it; found: answer, p");
  CHECK(refusal(R"({"prompt": "a", "answer": "1"})", Wanted::kAny, {.answer = "b"}) ==
        "no column 'b' with an answer in it; found: answer, prompt");
  CHECK(refusal("{\"prompt\": \"a\", \"b\\nc\": \"1\"}").find('\n') == std::string::npos);
}

TEST_CASE("columns: rows with nothing to judge by are left out, with the reason") {
  CHECK(unusable(R"({"prompt": "a", "answer": null})", Wanted::kShortAnswer) ==
        "column 'answer' is empty");
  CHECK(unusable(R"({"prompt": "a", "golden_answers": []})", Wanted::kShortAnswer) ==
        "column 'golden_answers' is empty");
  CHECK(unusable(R"({"prompt": "a", "reward_model": {"ground_truth": null}})",
                 Wanted::kShortAnswer) == "column 'reward_model.ground_truth' is empty");
  CHECK(unusable(R"({"prompt": "a", "answer": "so ####  "})", Wanted::kShortAnswer)
            .find("worked solution") != std::string::npos);
  CHECK(unusable(R"({"prompt": [{"role": "user", "content": ""}], "answer": "1"})",
                 Wanted::kShortAnswer) == "column 'prompt' is empty");
  CHECK(unusable(R"({"question": "q", "solution": "Left to right we have 0-3=7."})",
                 Wanted::kShortAnswer)
            .find("worked solution") != std::string::npos);
  CHECK(unusable(R"j({"question": "q", "test_list": ["assert f(1)"]})j", Wanted::kShortAnswer)
            .find("has tests in 'test_list'") != std::string::npos);
  CHECK(unusable(R"({"question": "q", "answer": "1"})", Wanted::kTests)
            .find("has an answer in 'answer' and no tests") != std::string::npos);
  // Published sets of programs have rows without tests.
  CHECK(unusable(R"({"question": "q", "input_output": "", "starter_code": ""})", Wanted::kTests) ==
        "column 'input_output' is empty");
}

TEST_CASE("columns: prompts of every known layout") {
  const Prompt text = {{"user", "1+2=?"}};
  for (const char* row :
       {R"({"prompt": "1+2=?", "answer": "3"})", R"({"question": "1+2=?", "answer": "3"})",
        R"({"problem": "1+2=?", "answer": "3"})", R"({"Problem": "1+2=?", "Answer": 3})",
        R"({"instruction": "1+2=?", "input": "", "answer": "3"})",
        R"({"query": "1+2=?", "answer": "3"})", R"({"input": "1+2=?", "answer": "3"})",
        R"({"text": "1+2=?", "answer": "3"})", R"({"PROMPT ": "1+2=?", "Final Answer": "3"})",
        R"({"prompt": null, "question": "1+2=?", "answer": "3"})",
        R"({"prompt": [{"role": "user", "content": "1+2=?"}], "answer": "3"})",
        R"({"prompt": "[{\"role\": \"user\", \"content\": \"1+2=?\"}]", "answer": "3"})",
        R"({"prompt": [{"role":"user","content":[{"type":"text","text":"1+2=?"}]}], "answer":"3"})",
        R"({"messages": [{"role": "user", "content": "1+2=?"}], "answer": "3"})",
        R"({"messages": [{"role": "user", "content": "1+2=?"},
                         {"role": "assistant", "content": "It is 3."}], "answer": "3"})",
        R"({"conversations": [{"from": "human", "value": "1+2=?"},
                              {"from": "gpt", "value": "3"}]})",
        R"({"problem": "1+2=?", "messages": [{"role": "user", "content": "Solve: 1+2=?"}],
            "answer": "3"})",
        R"({"prompt": "1+2=?", "question": "1+2=?", "answer": "3"})"}) {
    const ReadProblem got = problem(row);
    CAPTURE(row);
    CHECK(got.prompt == text);
    CHECK(got.gold == "3");
  }
  CHECK(problem(R"({"instruction": "Add.", "input": "1 2", "answer": "3"})").prompt ==
        Prompt{{"user", "Add.\n1 2"}});
  const ReadProblem system =
      problem(R"({"system_prompt": "Be brief.", "question": "1+2=?", "answer": "3"})");
  CHECK(system.prompt == Prompt{{"system", "Be brief."}, {"user", "1+2=?"}});
  CHECK(system.prompt_column == "question + system_prompt");
  CHECK(problem(R"({"question": "\u00e9\u0000 \ud83d\ude00", "gold": "x"})").prompt[0].content ==
        std::string("\xC3\xA9\0 \xF0\x9F\x98\x80", 8));
  CHECK(problem(R"({"question": "a", "x": "1+2=?", "answer": "3"})", Wanted::kAny, {.prompt = "x"})
            .prompt == text);
}

TEST_CASE("columns: a carriage return never reaches a prompt") {
  CHECK(problem(R"({"prompt": "a\r\nb\rc\r", "gold": "1"})").prompt[0].content == "a\nb\nc\n");
  CHECK(problem(R"({"prompt": [{"role": "user", "content": "a\r\nb"}], "gold": "1"})")
            .prompt[0]
            .content == "a\nb");
}

TEST_CASE("columns: references of every known layout") {
  for (const char* row :
       {R"({"prompt": "a", "gold": "3"})",
        R"({"prompt": "a", "ground_truth": 3})",
        R"({"prompt": "a", "expected_answer": "3"})",
        R"({"prompt": "a", "final_answer": " 3 "})",
        R"({"prompt": "a", "label": "3"})",
        R"({"prompt": "a", "target": 3})",
        R"({"prompt": "a", "solution": "3"})",
        R"({"prompt": "a", "Correct Answer": "3"})",
        R"({"prompt": "a", "gold": null, "answer": "3"})",
        R"({"prompt": "a", "solution": "", "answer": "3"})",
        R"({"prompt": "a", "gold": "", "label": "3"})",
        R"({"prompt": "a", "ground_truth": ["3"]})",
        R"({"prompt": "a", "answer": [3, null]})",
        R"({"prompt": "a", "answer": "[\"3\"]"})",
        R"({"prompt": "a", "solution": "0-3=7 to the left, so it is 3.", "answer": "3"})",
        R"({"prompt": "a", "solution": "First we add, then we have $\\boxed{3}$ at last."})",
        R"({"prompt": "a", "answer": "We add.\nThen we have it here.\n#### 3"})",
        R"({"prompt": "a", "answer": "3", "inputs": null, "outputs": null, "test_list": null})",
        R"({"prompt": "a", "answer": "3", "inputs": "a"})",
        R"({"prompt": "a", "answer": "3", "test": "train", "tests": [], "examples": ["x"]})",
        R"({"prompt": "a", "answer": "3", "final_answer": "$\\boxed{3}$", "label": "algebra"})",
        R"({"prompt": "a", "answer": "3.0", "gold": 3})",
        R"({"prompt": "a", "reward_model": {"style": "rule", "ground_truth": "3"}})",
        R"({"prompt": "a", "reward_model.ground_truth": "3"})",
        R"({"prompt": "a", "reward_model": "{\"ground_truth\": 3}"})",
        R"({"prompt": "a", "golden_answers": ["3"]})",
        R"({"prompt": "a", "reward_model": {"style": "rule", "ground_truth": ["3"]}})"}) {
    INFO(row);
    const std::string gold = problem(row).gold;
    CHECK_MESSAGE((gold == "3" || gold == "3.0" || gold == "$\\boxed{3}$"), gold);
    CHECK(problem(row, Wanted::kShortAnswer).gold == gold);
  }
  CHECK(problem(R"({"prompt": "a", "gold": "3", "answer": "3.0"})").gold == "3");
  CHECK(problem(R"({"prompt": "a", "answer": 123456789012345678901234567890})").gold ==
        "123456789012345678901234567890");
  CHECK(problem(R"({"prompt": "a", "answer": 0.10})").gold == "0.10");
  CHECK(problem(R"({"prompt": "a", "answer": true})").gold == "true");
  CHECK(problem(R"({"prompt": "a", "answer": ["1/2", 0.5]})").gold == R"(["1/2","0.5"])");
  CHECK(problem(R"({"prompt": "a", "answer": ["1/2", 0.5]})").reference_column ==
        "answer, any of its values");
  // Whoever reads worked solutions gets them whole.
  CHECK(problem(R"({"prompt": "a", "solution": "We add them, and then it is 3."})", Wanted::kAny)
            .gold == "We add them, and then it is 3.");
}

TEST_CASE("columns: a row with a program's tests is the gold, as it is written") {
  for (
      const std::string row : {
          R"j({"prompt": "def f():", "test": "t", "entry_point": "f", "canonical_solution": "x"})j",
          R"j({"text": "Write f.", "code": "x", "test_list": ["assert f(1)"]})j",
          R"j({"question": "q", "inputs": [[100000000000000000000001]], "outputs": [[1]]})j",
          R"j({"question": "q", "inputs": "[\"1 2\\n\"]", "outputs": "[\"3\\n\"]"})j",
          R"j({"question": "q", "inputs": ["1"], "checker": "x", "outputs": null})j",
          R"j({"question": "q", "input_output": "{\"inputs\": [\"1\"], \"outputs\": [\"2\"]}"})j",
          R"j({"question": "q", "public_test_cases": "[{\"input\":\"1\",\"output\":\"2\"}]"})j",
          R"j({"problem": "q", "verification_info": {"test_cases": [{"input":"1"}]}})j",
          R"j({"question": "q", "tests": [{"input": "1", "output": "2"}], "solution": "def f"})j",
          R"j({"question": "q", "unit_tests": "[{\"stdin\":\"1\",\"stdout\":\"2\"}]"})j",
          R"j({"description": "q", "public_tests": {"input": ["1"], "output": ["2"]}})j",
          R"j({"question": "q", "test": "from s import f\ndef test_f():\n  assert f()"})j",
          R"j({"prompt": "q", "reward_model": {"ground_truth":
               "{\"inputs\": [\"1\"], \"outputs\": [\"2\"]}"}})j",
          R"j({"prompt": "q", "ground_truth": {"inputs": ["1"], "outputs": ["2"]}})j",
      }) {
    CAPTURE(row);
    for (Wanted wanted : {Wanted::kShortAnswerOrTests, Wanted::kTests, Wanted::kAny}) {
      const ReadProblem got = problem(row, wanted);
      CHECK(got.gold == row);
      CHECK(got.kind == ReferenceKind::kTests);
    }
    CHECK(unusable(row, Wanted::kShortAnswer).find("has tests in") != std::string::npos);
  }
  // What the tests call must be known to whoever writes it.
  const ReadProblem called = problem(
      R"j({"question_content": "q", "starter_code": "def f(x):",
           "public_test_cases": [{"input": "1", "output": "2"}]})j");
  CHECK(called.prompt[0].content == "q\n\ndef f(x):");
}

TEST_CASE("columns: a demonstration that would teach something else is refused") {
  const auto refused = [](std::string_view text) {
    FileRow row{.line = 3, .text = std::string(text)};
    REQUIRE_MESSAGE(!read_json(text, row.object), std::string(text));
    const auto demonstration = read_demonstration("f", row);
    return demonstration ? "read: " + demonstration->response : demonstration.error().message;
  };
  CHECK(refused(R"({"instruction": "Who?", "context": "Ann was here.", "response": "Ann"})")
            .find("the text in 'context'") != std::string::npos);
  CHECK(refused(R"({"question": "Add.", "input": "x = 3", "response": "4"})")
            .find("the text in 'input'") != std::string::npos);
  CHECK(refused(R"({"prompt": "a", "response": "b", "completion": "c"})")
            .find("the response may be in 'response' or in 'completion'") != std::string::npos);
  CHECK(refused(R"({"prompt": "a", "completion": "b", "label": false})").find("a bad one") !=
        std::string::npos);
  CHECK(refused(R"({"prompt": "a", "images": ["a.png"], "response": "b"})").find("pictures") !=
        std::string::npos);
  CHECK(refused(R"({"prompt": "a", "completion": "[{'role': 'assistant', 'content': 'b'}]"})")
            .find("as Python prints it") != std::string::npos);
  CHECK(
      refused(R"({"prompt": "a", "completion": "[{\"role\":\"assistant\",\"content\":\"b\"}]"})") ==
      "read: b");
  CHECK(refused(R"({"prompt": "a", "completion": "b", "label": true})") == "read: b");
  CHECK(refused(R"({"prompt": "a", "response": "b", "completion": "b"})") == "read: b");
  CHECK(refused(R"({"instruction": "Add.", "input": "x = 3", "output": "4"})") == "read: 4");
}

TEST_CASE("columns: demonstrations of every known layout") {
  const auto demonstration = [](std::string_view text) {
    FileRow row{.line = 3, .text = std::string(text)};
    REQUIRE(!read_json(text, row.object));
    return read_demonstration("f", row);
  };
  const auto refused = [&](std::string_view text) {
    const auto got = demonstration(text);
    return got ? "read: " + got->response : got.error().message.substr(5);
  };
  CHECK(refused(R"({"messages": [{"role": "user", "content": "x"}]})") ==
        "column 'messages' does not end with the assistant's answer to a prompt");
  CHECK(refused(R"({"prompt": "a", "gold": "1"})")
            .starts_with("no response column response | completion | output | answer | solution"));
  CHECK(refused(R"({"prompt": "a", "response": ""})") == "the response is empty");
  CHECK(refused(R"({"problem": "a", "solution": "It is 3.", "answer": "3"})")
            .starts_with("the response may be in 'answer' or in 'solution'"));
  for (const char* row :
       {R"({"prompt": "1+2=?", "response": "3"})", R"({"prompt": "1+2=?", "completion": "3"})",
        R"({"prompt": "1+2=?", "completion": [{"role": "assistant", "content": "3"}]})",
        R"({"messages": [{"role":"user","content":"1+2=?"},{"role":"assistant","content":"3"}]})",
        R"({"conversations": [{"from":"human","value":"1+2=?"},{"from":"gpt","value":"3"}]})",
        R"({"instruction": "1+2=?", "input": "", "output": "3"})",
        R"({"problem": "1+2=?", "solution": "3"})", R"({"question": "1+2=?", "answer": "3"})",
        R"({"question": "1+2=?", "answer": "4", "response": "3"})"}) {
    CAPTURE(row);
    const auto got = demonstration(row);
    REQUIRE_MESSAGE(got, got.error().message);
    CHECK(got->prompt == Prompt{{"user", "1+2=?"}});
    CHECK(got->response == "3");
  }
}

}  // namespace
}  // namespace troupe::model
