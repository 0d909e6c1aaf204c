#include "model/data/row_file.h"

#include <doctest/doctest.h>

#include <fstream>
#include <random>
#include <vector>

#include "model/data/json_row.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

using nlohmann::json;

struct Read {
  std::vector<json> rows{};
  std::vector<int64_t> lines{};
  std::string error{};  // Without the file's folder.
};

Read read(std::string_view text, const std::string& name = "data.jsonl") {
  const tests::TempDir dir;
  std::ofstream(dir.file(name), std::ios::binary) << text;
  Read read;
  auto file = RowFile::open(dir.file(name));
  while (file) {
    auto row = file->next();
    if (!row) {
      file = row.error();
      break;
    }
    if (!*row) return read;
    read.rows.push_back((*row)->object);
    read.lines.push_back((*row)->line);
    json again;
    CHECK(!read_json((*row)->text, again));
    CHECK(again == (*row)->object);
  }
  const std::string& message = file.error().message;
  CHECK(file.error().code == ErrorCode::kInvalidArgument);
  CHECK(message.find('\n') == message.npos);
  REQUIRE(message.starts_with(dir.file(name)));
  read.error = message.substr(dir.file(name).size());
  return read;
}

TEST_CASE("row file: lines, a list and objects over several lines give the same rows") {
  const std::vector<json> wanted = {{{"a", "x{[\"\\"}, {"b", 1}}, {{"a", "y"}}};
  const std::string first = R"({"a": "x{[\"\\", "b": 1})", second = R"({"a": "y"})";
  const std::vector<std::pair<std::string, std::vector<int64_t>>> forms = {
      {first + "\n" + second + "\n", {1, 2}},
      {"\n\r\n" + first + "\r\n\n" + second, {3, 5}},
      {"[" + first + "," + second + "]", {1, 1}},
      {"[\n" + first + ",\n" + second + "\n]\n", {2, 3}},
      {" \n[ " + first + "\n,\n" + second + " ] \n", {2, 4}},
      {"{\"a\": \"x{[\\\"\\\\\",\n \"b\": 1}\n{\n\"a\": \"y\"\n}\n", {1, 3}},
      {"{\n\"a\": \"x{[\\\"\\\\\", \"b\": 1} {\"a\": \"y\"}", {1, 2}},
      {"[{\n\"a\": \"x{[\\\"\\\\\",\n\"b\": 1},\n\n{\"a\": \"y\"}]", {1, 5}},
  };
  for (const auto& [text, lines] : forms) {
    CAPTURE(text);
    const Read got = read(text);
    CHECK(got.error == "");
    CHECK(got.rows == wanted);
    CHECK(got.lines == lines);
  }
  CHECK(read("[]").rows.empty());
  CHECK(read("").rows.empty());
}

TEST_CASE("row file: what is not JSON is named by line, column and what stands there") {
  CHECK(read("{\"a\": 1}\n{\"a\": }\n").error.starts_with(":2:7: not JSON, at '}': "));
  CHECK(read("{\"a\": \"\xC3\xA9\xC3\xA9\", b}").error.starts_with(":1:13: not JSON, at 'b}': "));
  CHECK(read("{\"a\": NaN}").error.starts_with(":1:7: not JSON, at 'NaN}': "));
  CHECK(read("{\"a\": NaN}").error.ends_with("; JSON has no such number, write null"));
  CHECK(read("{\"a\": None}").error.find("true, false and null") != std::string::npos);
  CHECK(read("{\"a\": 'x'}").error.starts_with(":1:7: not JSON, at ''x'}': "));
  CHECK(read("{\"a\": \"\\ud83d\"}").error.find("surrogate") != std::string::npos);
  CHECK(read("{\"a\": 1, \"a\": 2}").error.find("the key \"a\" is there twice") !=
        std::string::npos);
  CHECK(read("[{\"a\": 1},\n {\"a\": x}]").error.starts_with(":2:8: not JSON, at 'x}': "));
  CHECK(read("{\"a\": 1}\nhello\n").error.starts_with(":2:1: not JSON, at 'hello': "));
  CHECK(read("{\"a\": 1}\n5\n").error == ":2: is a number, not an object {...} with columns");
  CHECK(read("{\"a\": 1}\n[1]\n").error == ":2: is an array, not an object {...} with columns");
  CHECK(read("{\"a\": \"\xFF\"}").error == ":1: not valid UTF-8; convert the file to UTF-8");
  for (const char* bytes : {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    CHECK(read(std::string("{\"a\": \"") + bytes + "\"}").error.find("UTF-8") != std::string::npos);
  }
  CHECK(read("prompt,gold\n1,2\n").error.starts_with(":1:1: not JSON, at 'prompt,gold': "));
}

TEST_CASE("row file: a list says what is wrong between its objects") {
  CHECK(read("[1, 2]").error == ":1: '1, 2]' is not an object {...} with columns");
  CHECK(read("[{}\n{}]").error == ":2: a comma is missing before this object");
  CHECK(read("[{},,{}]").error == ":1: there are more commas than one before this object");
  CHECK(read("[,{}]").error == ":1: there are more commas than one before this object");
  CHECK(read("[{},]").error == ":1: a comma stands before the list's ]");
  CHECK(read("[{}]\n{}").error == ":2: something stands behind the list: '{}'");
  CHECK(read("[{}\n").error == ":2: the list ends without its ]; the file was cut");
  CHECK(read("[{\"a\": 1").error == ":1: the object that begins here does not end");
}

TEST_CASE("row file: the digits of a number are kept as they are written") {
  const Read got = read(R"({"a": 123456789012345678901234567890, "b": 0.10, "c": -7, "d": 1e3,)"
                        R"( "e": 18446744073709551615})");
  REQUIRE(got.rows.size() == 1);
  const json& row = got.rows[0];
  CHECK(number_text(row["a"]) == "123456789012345678901234567890");
  CHECK(number_text(row["b"]) == "0.10");
  CHECK(number_text(row["c"]) == "-7");
  CHECK(number_text(row["d"]) == "1e3");
  CHECK(number_text(row["e"]) == "18446744073709551615");
  CHECK(!number_text(json("7")));
}

TEST_CASE("row file: a table has a header, cells in quotes and texts only") {
  const std::vector<json> wanted = {{{"prompt", "a, \"b\"\nc"}, {"gold", "007"}},
                                    {{"prompt", "d"}, {"gold", nullptr}}};
  const Read got = read("prompt,gold\r\n\"a, \"\"b\"\"\nc\",007\r\nd,\r\n", "data.csv");
  CHECK(got.error == "");
  CHECK(got.rows == wanted);
  CHECK(got.lines == std::vector<int64_t>{2, 4});
  CHECK(read("prompt\tgold\n\"a, \"\"b\"\"\nc\"\t007\nd\t", "data.tsv").rows == wanted);
  CHECK(read("\xEF\xBB\xBFprompt;gold\n\"a, \"\"b\"\"\nc\";007\nd;\n\n", "D.CSV").rows == wanted);
  // The index that pandas writes has no name.
  CHECK(read(",prompt\n0,d\n", "data.csv").rows == std::vector<json>{{{"prompt", "d"}}});
  CHECK(read("prompt,gold\na\n", "data.csv").error == ":2: the row has 1 cells, the header 2");
  CHECK(read("prompt,gold\na,b,c\n", "data.csv").error == ":2: the row has 3 cells, the header 2");
  CHECK(read("a,a\n1,2\n", "data.csv").error == ":1: the column 'a' is there twice");
  CHECK(read("a,b\n\"1,2\n", "data.csv").error == ":2: a cell that begins with \" does not end");
  CHECK(read("a,b\n\"1\"x,2\n", "data.csv").error ==
        ":2: something stands between a cell's last \" and its end");
  CHECK(read("a\n\xFF\n", "data.csv").error.find("UTF-8") != std::string::npos);
  CHECK(read("", "data.csv").rows.empty());
}

TEST_CASE("row file: a table of another dialect is refused, not read in part") {
  const char* alone =
      ":1: a carriage return stands alone; as the end of a line, write it as one: "
      "tr '\\r' '\\n'";
  CHECK(read("prompt,gold\rQ,7\rR,8\r", "data.csv").error == alone);
  CHECK(read("prompt,gold\nQ\rR,8\n", "data.csv").error.find("stands alone") != std::string::npos);
  const char* space = ":2: a space stands before a cell's first \"; take it out";
  CHECK(read("prompt, gold\n\"Q\", \"7, 8\"\n", "data.csv").error == space);
  CHECK(read("prompt, gold\nQ, \"7\"\n", "data.csv").error == space);
  CHECK(read("{\"prompt\":\"Q\",\"gold\":\"7\"}\n", "data.csv").error ==
        ":1: is JSON in a file that is called a table; call it .jsonl");
  CHECK(read("[{\"prompt\":\"Q\"}]", "data.csv").error.find("call it .jsonl") != std::string::npos);
  CHECK(read("prompt|gold\nQ, R|7\n", "data.csv").rows ==
        std::vector<json>{{{"prompt", "Q, R"}, {"gold", "7"}}});
  CHECK(read("prompt,gold\r\n\"a\rb\",7\r", "data.csv").rows ==
        std::vector<json>{{{"prompt", "a\rb"}, {"gold", "7"}}});
}

TEST_CASE("row file: a row may have the largest length and not a byte more") {
  std::string line = R"({"a": ""})";
  line.insert(line.size() - 2, kDatasetLineBytesMax - line.size(), 'y');
  CHECK(read(line + "\n").rows.size() == 1);
  CHECK(read(line).rows.size() == 1);
  CHECK(read("[" + line + "]").rows.size() == 1);
  line.insert(line.size() - 2, 1, 'y');
  CHECK(read(line).error == ":1: the line is longer than 8388608 bytes");
  CHECK(read("[" + line + "]").error == ":1: the object is longer than 8388608 bytes");
  CHECK(read("a\n" + line, "data.csv").error == ":2: the row is longer than 8388608 bytes");
}

TEST_CASE("row file: hostile nesting neither throws nor overflows") {
  const std::string deep(500'000, '[');
  CHECK(read(deep).error.starts_with(":1: '[[["));
  CHECK(read("{\"a\": " + deep).error.find("nested more than 200 deep") != std::string::npos);
  CHECK(read("{\"a\": " + deep + std::string(500'000, ']') + "}").error.find("nested") !=
        std::string::npos);
}

// Whatever the bytes are, each row is an object, lines do not go back, and what is wrong is said.
TEST_CASE("row file: mutated files are read or refused") {
  const std::string files[] = {"{\"prompt\": \"a\", \"gold\": [1, 2.5]}\n{\"prompt\": \"b\\n\"}\n",
                               "[\n{\"prompt\": \"a\"},\n{\"prompt\": {\"b\": null}}\n]",
                               "{\n\"prompt\": \"a\"\n}\n{\"x\": true}\n"};
  std::mt19937_64 random(7);
  size_t refused = 0, taken = 0;
  for (int i = 0; i < 6'000; ++i) {
    std::string text = files[random() % 3];
    for (uint64_t n = random() % 4 + 1; n > 0; --n) {
      const size_t at = random() % text.size();
      constexpr std::string_view kBytes = "{}[]\",:\\\n\r 1ea\xC3\xFF";
      switch (random() % 3) {
        case 0:
          text[at] = kBytes[random() % kBytes.size()];
          break;
        case 1:
          text.insert(at, 1, kBytes[random() % kBytes.size()]);
          break;
        default:
          text.erase(at, random() % 5 + 1);
      }
      if (text.empty()) text = "{";
    }
    const Read got = read(text, i % 5 == 0 ? "t.csv" : "t.jsonl");
    for (size_t row = 0; row < got.rows.size(); ++row) {
      REQUIRE(got.rows[row].is_object());
      REQUIRE((row == 0 || got.lines[row - 1] <= got.lines[row]));
    }
    refused += got.error.empty() ? 0 : 1;
    taken += got.rows.empty() ? 0 : 1;
  }
  CHECK(refused > 1'000);
  CHECK(taken > 1'000);
}

}  // namespace
}  // namespace troupe::model
