// What the fuzzing of the mathematics verifier begins with.
#pragma once

#include <fstream>
#include <string>
#include <vector>

namespace troupe::fuzz {

// Gold and candidate with a tab between them, from the tables of pairs.
inline std::vector<std::string> math_corpus() {
  std::vector<std::string> corpus;
  for (const char* file : {"agreed_pairs.tsv", "more_pairs.tsv", "form_pairs.tsv"}) {
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
          "####",
          "\t",
          "or",
          "and",
          "\\pmod{",
          "\\equiv",
          "\\gcd(",
          "\\max\\{",
          "\\choose",
          "C(",
          "_{10}C_5",
          "\\int_0^1 ",
          " dx",
          "\\sum_{k=1}^{999}",
          "\\begin{aligned}",
          "\\end{aligned}",
          "\\begin{cases}",
          "\\hspace{",
          "\\color{red}",
          "0.333...",
          "0.(3)",
          "7th",
          " km/h",
          " h",
          " kWh",
          " per ",
          "\\mu",
          "The value of x is ",
          "(since ",
          "no solution",
          "A, B, D",
          "[\"",
          "\", \"",
          "\"]",
          "\\u00",
          "_8",
          " to ",
          "\xE2\x81\xBB",
          "\xC2\xB3",
          "\xC2\xBD",
          "\xE2\x91\xA0",
          "\xE6\x88\x96",
          "\xE2\x80\x8B",
          "\xEF\xBC\x95"};
}

}  // namespace troupe::fuzz
