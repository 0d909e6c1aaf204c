// Where a response's answer stands, in all the ways in which people and policies write it.
#include "actors/verifier/math/marked_answer.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "actors/verifier/math/extraction.h"
#include "actors/verifier/math/math_verdict.h"

namespace troupe::actors {
namespace {

constexpr VerdictKind kEqual = VerdictKind::kEqual;
constexpr VerdictKind kNoAnswer = VerdictKind::kNoAnswer;

struct Case {
  std::string_view gold{};
  std::string_view response{};
};

template <size_t N>
void pass(const Case (&cases)[N]) {
  for (const Case& each : cases) {
    INFO("gold ", std::string(each.gold), ", response ", std::string(each.response));
    const MathVerdict verdict = verify_math(each.response, each.gold);
    INFO("extracted ", verdict.extracted, ", ", verdict.reason);
    CHECK(verdict.kind == kEqual);
  }
}

template <size_t N>
void must_not_pass(const Case (&cases)[N]) {
  for (const Case& each : cases) {
    INFO("gold ", std::string(each.gold), ", response ", std::string(each.response));
    const MathVerdict verdict = verify_math(each.response, each.gold);
    INFO("extracted ", verdict.extracted, ", ", verdict.reason);
    CHECK(verdict.kind != kEqual);
  }
}

TEST_CASE("marked answer: tags in capitals, ends of turns and \"hence choose\"") {
  must_not_pass({
      {"3", "<Answer>3</Answer> <answer>5</answer>"},
      {"5", "<Answer>3</Answer> <answer>5</answer>"},
      {"5", "<ANSWER>5</ANSWER> <ANSWER>6</ANSWER>"},
      {"5", "<think><ANSWER>5</ANSWER></think> Well, 5."},
      {"5", "<think>x</think> The <ANSWER> is 5."},
      {"5", "Answer: 5</s>6"},
      {"5", "Answer: 6</s>5</s>"},
      {"5", "Trans: 5"},
      {"5", "wrong ans: 5"},
      {"5", "Ans 5"},
      {"A",
       "\xE6\x95\x85\xE9\x80\x89"
       "A\xE6\x88\x96"
       "B"},
      {"A",
       "\xE6\x95\x85\xE9\x80\x89"
       "A\xE3\x80\x82\n\xE6\x95\x85\xE9\x80\x89"
       "B"},
      {"A",
       "\xE6\x95\x85\xE9\x80\x89"
       "A = 3"},
  });
  pass({
      {"5", "<ANSWER>5</ANSWER>"},
      {"5", "<Answer>\\boxed{5}</Answer>"},
      {"5", "Answer: 5<|im_end|>"},
      {"5", "Answer: 5</s>\n"},
      {"5", "Ans: 5"},
      {"C",
       "\xE6\x95\x85\xE9\x80\x89"
       "C"},
      {"C",
       "\xE6\x95\x85\xE9\x80\x89\xEF\xBC\x9A"
       "C\xEF\xBC\x8E"},
      {"C", "\xE6\x95\x85\xE9\x80\x89\xE6\x8B\xA9 **C**\xE3\x80\x82"},
      {"ABD", "\xE6\x95\x85\xE9\x80\x89: ABD"},
  });
}

TEST_CASE("marked answer: several answers, none, a denial or an echo are no answer") {
  must_not_pass({
      {"4", "Answer: 4\nAnswer: 5"},
      {"42", "Answer: 42 or 43"},
      {"42", "Answer: 42, 43"},
      {"42", "Answer: either 42 or 43"},
      {"42", "Answer: 42 (or 43)"},
      {"42", "Answer: 42. Or 43."},
      {"42", "Answer: 42. No, 43."},
      {"42", "Answer: 42. Wait, that is wrong."},
      {"42", "Answer: 42! But maybe not."},
      {"42", "Answer: **42** or **43**"},
      {"42", "Answer: between 41 and 43"},
      {"42", "Answer: not 42"},
      {"42", "The answer is: not 42."},
      {"42", "Answer: The answer is not 42"},
      {"42", "Answer: The answer isn't 42"},
      {"42", "Answer: never 42"},
      {"42", "Answer:\n- 42\n- 43"},
      {"42", "Answer:\n42\n43"},
      {"42", "Answer:\n\n42\n\n43\n"},
      {"42", "Answer:\n1. 42\n2. 43"},
      {"42", "**Final Answer**\n\\[42\\]\n\\[43\\]"},
      {"42", "Answer:"},
      {"42", "We get 42.\nAnswer:\n\n"},
      {"42", "We get 42.\n**Answer:**"},
      {"42", "We get 42.\n### Final Answer\n"},
      {"42", "Answer:\n\n## Check\n42"},
      {"42", "Answer: 42\n\nAnswer:"},
      {"42", "The last line should be \"Answer: $ANSWER\". We get 42."},
      {"ANSWER", "Answer: $ANSWER"},
      {"answer", "Answer: [your answer]"},
      {"42", "Answer: \\$Answer\n42"},
      {"42", "<think>Answer: 42</think> Well."},
      {"42", "<think>Answer: 42"},
      {"42", "<think>Answer: 42</think>Answer: 41"},
      {"42", "the answer is 42"},
      {"42", "So the answer is 42."},
      {"42", "Therefore, x = 42"},
      {"42", "6 * 7 = 42"},
      {"42", "answered: 42"},
      {"42", "Unanswer: 42"},
      {"42", "the answers 42"},
      {"42", "Answer: > 42"},
      {"42", "Answer:\n> 42"},  // A relation, unless the mark is quoted too.
      {"42", "Answer: 42. Wrong."},
      {"B", "The correct option is not (B)"},
      {"B", "The correct option is (B) or (C)"},
      {"B", "Answer: B. Or rather C"},
      {"B", "Answer: Option B or C is correct"},
      {"B", "The answer is B"},
      {"B", "The correct answer is B or C"},
      {"B", "The correct answer is not B"},
      {"A", "The correct answer is A number that nobody knows"},
      {"42", "Answer: it is not 42"},
      {"42", "Answer: 42 since x>0, but 43 otherwise"},
      {"42", "Answer: 42 since x>0, else 43"},
      {"42", "Answer: 42 (since x>0, or 43)"},
      {"42", "The wrong answer is: 42"},
      {"42", "This is not the answer: 42"},
      {"42", "Answer: 42 is wrong"},
      {"42", "Answer: unknown (maybe 42)"},
      {"42", "Answer: at least 42"},
      {"42", "Answer: it is 42 or 43"},
      {"42", "Answer: we get that 42 is wrong"},
      {"42", "Answer: this is 42, not 43"},
      {"B", "Option (B) looks right"},
      {"42",
       "\xE7\xAD\x94\xE6\xA1\x88\xE4\xB8\x8D\xE6\x98\xAF"
       "42"},  // "is not"
      {"42",
       "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF\xE4\xB8\x8D\xE6\x98\xAF"
       "42"},
      {"42",
       "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF\xE5\x90\xA6"
       "42"},  // "whether"
      {"42",
       "\xE7\xAD\x94\xE6\xA1\x88"
       "42"},  // The word alone.
      {"42", "put it in \\boxed form: 42"},
      {"42", "\\boxed 42 or \\boxed 43"},
      {"42", "\\boxed\n42"},
      {"2", "<answer>The answer is 2 or 3</answer>"},
      {"2", "<answer>not 2</answer>"},
      {"2", "<answer>2\n3</answer>"},
      {"8", "Answer: 2**3 is not 8"},
      {"5", "Answer: 10 - 5 (since 10 - 5 = 5) or 5"},
  });
  CHECK(verify_math("Answer: not 42", "42").kind == kNoAnswer);
  CHECK(verify_math("Answer: $ANSWER", "42").kind == kNoAnswer);
  CHECK(verify_math("Answer: ...", "42").kind == kNoAnswer);
}

TEST_CASE("marked answer: below the mark") {
  pass({
      {"42", "Reasoning.\nAnswer:\n42"},
      {"42", "Answer:\n\n\n42\n"},
      {"4", "**Final Answer:**\n\n4"},
      {"4", "**Final Answer**\n\n4"},
      {"4", "### Final Answer\n\n$$4$$"},
      {"4", "### Final Answer:\n\n$4$."},
      {"4", "#### Final Answer\n4"},
      {"4", "## Answer\n**4**"},
      {"4", "__Answer__\n4"},
      {"4", "Final Answer\n4"},
      {"4", "The final answer is:\n\n\\[ 4 \\]"},
      {"42", "Final Answer:\n\\[\n42\n\\]"},
      {"42", "Final Answer:\n$$\n42\n$$\nDone."},
      {"42", "Answer: \\[\n42\n\\]"},
      {"42", "Answer: $$\n42\n$$"},
      {"42", "Answer:\n```\n42\n```"},
      {"\\frac{1}{2}", "Final Answer:\n\\[\n\\frac{1}\n{2}\n\\]"},
      {"42",
       "Final Answer:\n\\[\n42"
       "\n\\]\n\nI hope it is correct."},
      {"42", "Answer:\r\n42\r\n"},
      {"42", "Answer:\n- 42"},
      {"42", "Answer:\nThe answer is 42."},
      {"42", "Final Answer:\nThe final answer is:\n$42$"},
      {"42", "Answer:\n---\n42"},
      {"42", "Answer:\n42\n\n1. First we multiply 6 by 7."},
      {"42", "Answer:\n42\nThis follows from 6 * 7 = 42."},
      {"{1,2}", "Answer:\n- 1\n- 2"},
      {"42", "Answer:\n42\n42"},
      {"x=5", "**Answer:**\n\n$x = 5$"},
  });
}

TEST_CASE("marked answer: Markdown around it") {
  pass({
      {"4", "Answer: **4**."},
      {"42", "Answer: *42*"},
      {"42", "Answer: ***42***"},
      {"42", "Answer: __42__"},
      {"42", "Answer: _42_"},
      {"42", "Answer: `42`"},
      {"13", "Answer: `$13$`"},
      {"42", "**Answer**: 42"},
      {"42", "**Answer:** 42"},
      {"42", "**Answer: 42**"},
      {"42", "*Answer:* 42"},
      {"42", "__Answer:__ 42"},
      {"42", "`Answer: 42`"},
      {"42", "# Answer: 42"},
      {"42", "- Answer: 42"},
      {"42", "* **Answer:** 42"},
      {"42", "> Answer: 42"},
      {"42", "> **Answer:**\n> 42"},
      {"42", "**Final Answer**: $\\mathbf{42}$"},
      {"42", "Answer: \"42\""},
      {"42", "Answer: **$42$**."},
      {"8", "Answer: 2*4"},
      {"-5", "Answer: - 5"},
      {"-5", "Answer: **-5**"},
      {"42", "$\\text{Answer: } 42$"},
  });
}

TEST_CASE("marked answer: sentences around it") {
  pass({
      {"\\frac{1}{2}", "Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct."},
      {"42", "Answer: The answer is 42."},
      {"42", "Answer: 42 (forty-two)"},
      {"42", "Answer: 42 (since 6*7=42)"},
      {"42", "Answer: 42 (because 6*7=42)."},
      {"42", "Answer: 42, since 6*7=42"},
      {"42", "Answer: 42 because 6 times 7 is 42"},
      {"42", "Answer: 42. This is what was asked."},
      {"42", "Answer: $42$. Let me know if you have questions!"},
      {"42", "Answer: So the final answer is: **42**."},
      {"42", "Answer: Therefore, the answer is 42"},
      {"5", "Answer: Therefore, x = 5"},
      {"5", "Answer: The value of x is 5."},
      {"42", "So the answer is: 42"},
      {"42", "The answer is: 42."},
      {"42", "The correct answer is: $42$"},
      {"42", "the final answer is : 42"},
      {"42", "Answer (in cm): 42"},
      {"42", "Answer: 42 is the answer"},
      {"42", "Answers: 42"},
      {"42", "Answer: it is 42"},
      {"42", "Answer: That's 42."},
      {"42", "Answer: We get 42"},
      {"42", "Answer: x equals 42"},
      {"42", "Answer: 42 [since 6*7=42]"},
      {"42", "Answer: 42, as required."},
      {"42", "Answer: 42 \xE2\x80\x94 since 6*7=42"},
      {"42", "Answer: $x=42$ is the solution."},
      {"42", "Answer: 42 \xE2\x9C\x85"},
      {"42", "Answer: <b>42</b>"},
      {"42", "Answer: ==42=="},
      {"C", "Answer: C, because nothing else is left"},
      {"C", "The correct answer is **C**."},
      {"C", "The correct option is C"},
      {"B", "Answer: Option B is correct"},
      {"B", "Answer: Option (B)"},
      {"B", "Answer: option B."},
      {"B", "Answer: The correct option is (B)"},
      {"B", "Answer: The correct answer is B"},
      {"B", "Answer: choice B is the correct answer"},
      {"C", "the correct option is (C)"},
      {"C", "Therefore, the answer is (C)."},
      {"C", "The correct choice is **(C)**."},
      {"C", "Correct option: C"},
      {"42", "<answer>The answer is 42</answer>"},
      {"42", "<answer>\n**42**\n</answer>"},
      {"42", "<answer>42 (forty-two)</answer>"},
      {"42", "<answer>\nAnswer:\n42\n</answer>"},
      {"0.333...", "Answer: 0.333..."},
      {"(1,2)", "Answer: (1, 2)"},
  });
}

TEST_CASE("marked answer: in Chinese, and with wide colons") {
  pass({
      {"42",
       "\xE6\x89\x80\xE4\xBB\xA5\nAnswer\xEF\xBC\x9A"
       "42"},
      {"42",
       "\xE5\x9B\xA0\xE6\xAD\xA4\xEF\xBC\x8C\xE7\xAD\x94\xE6\xA1\x88\xEF\xBC\x9A"
       "42"},
      {"42",
       "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF"
       "42"},
      {"42",
       "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF"
       "42\xE3\x80\x82"},
      {"42", "\xE6\x9C\x80\xE7\xBB\x88\xE7\xAD\x94\xE6\xA1\x88\xEF\xBC\x9A\n\n$42$"},
      {"42", "\xE6\x89\x80\xE4\xBB\xA5\xE7\xAD\x94\xE6\xA1\x88\xE4\xB8\xBA 42"},
      {"42", "**\xE7\xAD\x94\xE6\xA1\x88\xEF\xBC\x9A** 42"},
      {"42",
       "\xE3\x80\x90\xE7\xAD\x94\xE6\xA1\x88\xE3\x80\x91"
       "42"},
      {"42", "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF\xEF\xBC\x9A\\[42\\]"},
      {"B", "\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF\xE9\x80\x89 B"},
      {"B", "\xE7\xAD\x94\xE6\xA1\x88\xEF\xBC\x9A\xE9\x80\x89 B\xE3\x80\x82"},
      {"B", "\xE6\xAD\xA3\xE7\xA1\xAE\xE9\x80\x89\xE9\xA1\xB9\xE6\x98\xAF B"},
  });
}

TEST_CASE("marked answer: boxes without braces, and boxes in boxes") {
  pass({
      {"2", "Hence the result is $\\boxed 2$."},
      {"2", "\\boxed2"},
      {"12", "$\\boxed 12$"},
      {"-3", "$\\boxed -3$"},
      {"\\frac{1}{2}", "$\\boxed\\frac{1}{2}$"},
      {"\\frac{1}{2}", "\\(\\boxed \\frac{1}{2}\\)"},
      {"2", "\\boxed{\\boxed{2}}"},
      {"2", "\\fbox{2}"},
      {"2", "\\fbox 2."},
      {"42", "$\\boxed{42}$"},
      {"5", "First \\boxed 4. So \\boxed 5."},
      {"x+y", "$\\boxed x+y$"},
      {"B", "\\boxed B"},
      {"B", "\\boxed \\text{B}"},
  });
}

TEST_CASE("marked answer: the last number only where a job asks for it") {
  const std::string_view response = "6 times 7 is 42.";
  CHECK(verify_math(response, "42", Extraction::kMarked).kind == kNoAnswer);
  CHECK(verify_math(response, "42", Extraction::kLastNumber).kind == kEqual);
  const auto last = [](std::string_view text, std::string_view gold) {
    return verify_math(text, gold, Extraction::kLastNumber).kind;
  };
  // What the response marks stays what counts.
  CHECK(last("Answer: 41. It is 42", "42") != kEqual);
  CHECK(last("\\boxed{41} or 42", "42") != kEqual);
  CHECK(last("<answer>41</answer> 42", "42") != kEqual);
  CHECK(last("<answer>41</answer><answer>42</answer>", "42") == kNoAnswer);
  CHECK(last("<think>42", "42") == kNoAnswer);
  CHECK(last("<think>42</think> I do not know", "42") == kNoAnswer);
  CHECK(last("Answer: not 42", "42") == kNoAnswer);
  CHECK(last("It is 42, not 43", "42") != kEqual);
  CHECK(last("no number", "42") == kNoAnswer);
  struct Number {
    std::string_view text{}, number{};
  };
  for (const Number& each : {Number{"it is -5.", "-5"},
                             {"so 1,234.50 dollars", "1,234.50"},
                             {"half: 1/2", "1/2"},
                             {"$\\frac{3}{4}$", "\\frac{3}{4}"},
                             {"$-\\frac{3}{4}$", "-\\frac{3}{4}"},
                             {"\\dfrac{3}{4} it is", "\\dfrac{3}{4}"},
                             {"it is 50%", "50%"},
                             {"7-5", "5"},
                             {"(-2)", "-2"},
                             {"x = .5", ".5"},
                             {"a1, b2", "2"},
                             {"3", "3"},
                             {"10.", "10"},
                             {"}{3}", "3"}}) {
    CAPTURE(each.text);
    CHECK(last_number(each.text).value_or("") == each.number);
  }
  CHECK_FALSE(last_number("none").has_value());
}

TEST_CASE("marked answer: hostile texts take bounded work") {
  const auto repeated = [](std::string_view text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  for (const std::string& text :
       {repeated("Answer:\n", 100'000), repeated("Answer (", 100'000),
        repeated("answer is ", 100'000), "Answer: " + repeated("(since ", 100'000),
        "Answer: " + repeated("**", 200'000), "Answer: " + repeated("the answer is ", 50'000),
        "Answer:\n" + repeated("1\n", 200'000), "Answer:\n" + repeated("\\[\n", 200'000),
        "Answer: " + repeated("5. A ", 100'000), "Answer: " + repeated("> ", 100'000),
        "Answer: 5 " + repeated(" is correct", 50'000),
        repeated("\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF", 50'000), repeated("\\boxed ", 100'000),
        repeated("\\boxed 1", 100'000), "Answer:" + std::string(1'000'000, '\n'),
        "Answer:\n" + repeated("```\n", 100'000), repeated("correct option ", 50'000),
        repeated("\\frac{", 50'000) + "7", "Answer: 7" + repeated(")", 200'000)}) {
    INFO(text.substr(0, 30), "... of ", text.size(), " bytes");
    CHECK(verify_math(text, "77", Extraction::kLastNumber).kind != kEqual);
  }
}

}  // namespace
}  // namespace troupe::actors
