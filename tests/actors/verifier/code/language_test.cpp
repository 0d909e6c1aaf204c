#include "actors/verifier/code/language.h"

#include <doctest/doctest.h>

#include <string>

namespace troupe::actors {
namespace {

std::string name_of(const Language* language) {
  return language ? std::string(language->name) : "none";
}

TEST_CASE("language: names that mean another language, or two, mean none") {
  for (
      const char* name :
      {"",         "python2", "Python 2.7", "py2",         "PyPy 2", "PYTHON2",    "java",
       "Java 21",  "c#",      "C# 10",      "objective-c", "cuda",   "javascript", "python and c++",
       "c or c++", "english", "en",         "pythonic",    "cython", "go",         "rust",
       "3",        "17",      "clang",      "text"}) {
    CAPTURE(name);
    CHECK(name_of(find_language(name)) == "none");
  }
  CHECK(find_language(std::string(100'000, 'c')) == nullptr);
}

TEST_CASE("language: the names that people write") {
  for (const char* name : {"python",
                           "Python",
                           "PYTHON",
                           "python3",
                           "Python3",
                           "PYTHON3",
                           "Python 3",
                           "python 3.11",
                           "Python 3.8.2",
                           "py",
                           "py3",
                           "pypy",
                           "PyPy3",
                           "pypy 3",
                           "PyPy 3-64",
                           "python3.11",
                           "Python (CPython 3.11.4)",
                           "cpython",
                           "python-3",
                           "python_3",
                           " python "}) {
    CAPTURE(name);
    CHECK(name_of(find_language(name)) == "python");
  }
  for (const char* name : {"cpp",
                           "c++",
                           "C++",
                           "CPP",
                           "cpp17",
                           "C++17",
                           "c++20",
                           "C++ 14",
                           "cxx",
                           "cc",
                           "g++",
                           "G++17",
                           "GNU C++17",
                           "GNU C++20 (64)",
                           "GNU G++17 7.3.0",
                           "MS C++ 2017",
                           "C++ (GCC 9.2.1)",
                           "gnu++17",
                           "c++1z",
                           "c++0x",
                           "clang++17",
                           "C++14 (GCC 5.4.1)"}) {
    CAPTURE(name);
    CHECK(name_of(find_language(name)) == "cpp");
  }
  for (const char* name : {"c", "C", "c11", "C99", "GNU C11", "gcc", "C (GCC 9.2.1)", "ansi c"}) {
    CAPTURE(name);
    CHECK(name_of(find_language(name)) == "c");
  }
}

TEST_CASE("language: labels of blocks") {
  for (const char* label :
       {"python", "Python3", "py", "{.python}", "python title=\"f.py\"", "main.py",
        "python:main.py", "Python 3", "python\r", "solution.py copy"}) {
    CAPTURE(label);
    CHECK(name_of(labelled_language(label)) == "python");
  }
  for (const char* label : {"cpp", "c++", "C++17", "main.cpp", "a.cc", "cpp,linenos"}) {
    CAPTURE(label);
    CHECK(name_of(labelled_language(label)) == "cpp");
  }
  CHECK(name_of(labelled_language("c")) == "c");
  CHECK(name_of(labelled_language("main.c")) == "c");
  for (const char* label : {"", "bash", "text", "output", "console", "python-repl", "pycon", "c#",
                            "c/c++", "python2", "json", "notes.txt", "1", "...", "a."}) {
    CAPTURE(label);
    CHECK(name_of(labelled_language(label)) == "none");
  }
}

}  // namespace
}  // namespace troupe::actors
