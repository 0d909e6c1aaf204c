// What the fuzzing of the mathematics verifier begins with.
#pragma once

#include <fstream>
#include <string>
#include <vector>

namespace troupe::fuzz {

// Gold and candidate with a tab between them, from the tables of pairs.
inline std::vector<std::string> math_corpus() {
  std::vector<std::string> corpus;
  for (const char* file : {"agreed_pairs.tsv", "more_pairs.tsv"}) {
    std::ifstream in(std::string(TROUPE_SOURCE_DIR "/tests/actors/verifier/math/") + file);
    std::string line;
    std::getline(in, line);  // The names of the columns.
    while (std::getline(in, line)) {
      const size_t gold = line.find('\t') + 1;
      const size_t candidate = line.find('\t', gold);
      corpus.push_back(line.substr(gold, line.find('\t', candidate + 1) - gold));
    }
  }
  return corpus;
}

inline std::vector<std::string> math_dictionary() {
  return {"(",
          "{",
          "[",
          "\\{",
          "\\left(",
          "\\frac{",
          "\\sqrt{",
          "\\sqrt[3]",
          "^{",
          "^",
          "_",
          "!",
          "\\binom{",
          "\\pm",
          "\\cdot",
          "/",
          "+",
          "-",
          "=",
          "<",
          "\\le",
          "\\neq",
          ",",
          ";",
          "|",
          "\\pi",
          "\\infty",
          "e",
          "i",
          "x",
          "\\sin",
          "\\ln",
          "\\log_",
          "\\arctan",
          "\\%",
          "^\\circ",
          "\\text{",
          " cm",
          "\\$",
          "\\cup",
          "\\in",
          "\\ ",
          ")",
          "}",
          "]",
          "\\}",
          "\\right)",
          "9^9",
          "10^{10^",
          "1e9",
          "0.",
          "\\overline{",
          "\\lfloor",
          "\\rfloor",
          "&",
          "\\\\",
          "\\begin{pmatrix}",
          "\\end{pmatrix}",
          "\\boxed{",
          "\\\\boxed{",
          "x_1=",
          " for x and ",
          "\\sum_{k=1}^n",
          "\\over",
          "</think>",
          "<answer>",
          "</answer>",
          "Answer:",
          "Final Answer",
          "the answer is ",
          "correct option is (C)",
          " since ",
          ". I hope",
          "**",
          "`",
          "\n- ",
          "\n\n",
          "\\[",
          "\\]",
          "$$",
          "\\boxed ",
          "not ",
          "\xE7\xAD\x94\xE6\xA1\x88",
          "\xE6\x98\xAF",
          "\xEF\xBC\x9A",
          "####",
          "\t",
          "or",
          "and"};
}

}  // namespace troupe::fuzz
