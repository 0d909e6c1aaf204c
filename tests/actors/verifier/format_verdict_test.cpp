#include "actors/verifier/format_verdict.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

TEST_CASE("format verdict: one think part and one answer part, white space allowed") {
  for (std::string_view response :
       {"<think>8+3=1</think><answer>1</answer>", "<think></think><answer></answer>",
        " \n<think>a\nb</think>\n\n<answer> 5 </answer>\r\n"}) {
    const VerdictPart part = verify_r1_format(response);
    CHECK(part.kind == VerdictKind::kWellFormed);
    CHECK(part.value == 1);
    CHECK(!part.reason.empty());
  }
}

TEST_CASE("format verdict: anything else is malformed and says why") {
  const auto reason = [](std::string_view response) {
    const VerdictPart part = verify_r1_format(response);
    CHECK(part.kind == VerdictKind::kMalformed);
    CHECK(part.value == 0);
    return part.reason;
  };
  CHECK(reason("") == "<think> is missing");
  CHECK(reason("<think>a<answer>5</answer>") == "</think> is missing");
  CHECK(reason("<think>a</think>5") == "<answer> is missing");
  CHECK(reason("<think>a</think><answer>5") == "</answer> is missing");
  CHECK(reason("<think><think></think><answer>5</answer>") == "<think> occurs more than once");
  CHECK(reason("<think></think><answer>5</answer><answer>6</answer>") ==
        "<answer> occurs more than once");
  CHECK(reason("<answer>5</answer><think></think>") == "there is text before <think>");
  CHECK(reason("<think><answer>5</answer></think>") == "<answer> comes too early");
  CHECK(reason("</think><think><answer>5</answer>") == "there is text before <think>");
  CHECK(reason("So: <think></think><answer>5</answer>") == "there is text before <think>");
  CHECK(reason("<think></think> so <answer>5</answer>") == "there is text before <answer>");
  CHECK(reason("<think></think><answer>5</answer>!") == "there is text after </answer>");
  CHECK(reason("<THINK></THINK><answer>5</answer>") == "<think> is missing");
}

TEST_CASE("format verdict: thinking is there when it is more than white space") {
  CHECK(has_thinking("<think>8</think><answer>8</answer>"));
  CHECK(!has_thinking("<think> \n</think><answer>8</answer>"));
  CHECK(!has_thinking("<think>8"));
  CHECK(!has_thinking("8</think>"));
  CHECK(!has_thinking(""));
}

TEST_CASE("format verdict: a megabyte of tags costs milliseconds") {
  std::string tags;
  for (int i = 0; i < 100'000; ++i) tags += "<think></think>";
  CHECK(verify_r1_format(tags).kind == VerdictKind::kMalformed);
  CHECK(!has_thinking(tags));
}

}  // namespace
}  // namespace troupe::actors
