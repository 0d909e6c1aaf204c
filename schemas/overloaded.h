// A visitor of a std::variant, written as one function for each alternative.
#pragma once

namespace troupe {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace troupe
