#include "actors/verifier/math/statement.h"

#include <algorithm>

#include "actors/verifier/math/scalar.h"
#include "actors/verifier/math/tokens.h"

namespace troupe::actors {
namespace {

bool has_name(Term value, Term name) {
  if (name.kind() != NodeKind::kSymbol) return false;
  const auto variables = variables_of(value);
  return std::binary_search(variables.begin(), variables.end(), name.tree->name(name.root));
}

// 2, -2 or 1/2
std::string spelled_number(Term term) {
  const auto digits = [](Term part) -> std::string {
    if (part.kind() != NodeKind::kNumber) return {};
    const Literal& literal = part.tree->literal(part.root);
    if (literal.has_point || literal.exponent != 0) return {};
    return literal.digits;
  };
  std::string sign;
  if (term.kind() == NodeKind::kNegate) {
    term = term.child(0);
    sign = "-";
  }
  if (term.kind() != NodeKind::kDivide) {
    const std::string number = digits(term);
    return number.empty() ? number : sign + number;
  }
  const std::string above = digits(term.child(0));
  const std::string below = digits(term.child(1));
  return above.empty() || below.empty() ? std::string() : sign + above + "/" + below;
}

// The name f of f^{-1}, with its mark.
std::string spelled_inverse(Term term) {
  if (term.kind() != NodeKind::kPower || term.child(0).kind() != NodeKind::kSymbol) return {};
  if (spelled_number(term.child(1)) != "-1") return {};
  return term.tree->name(term.child(0).root) + "^-1";
}

// f(x), f(2) or f^{-1}(2)
std::string spelled_application(Term term) {
  const Term function = term.child(0);
  const Term argument = term.child(1);
  const bool is_name = function.kind() == NodeKind::kSymbol;
  const std::string name = is_name ? function.tree->name(function.root) : spelled_inverse(function);
  const std::string inside = argument.kind() == NodeKind::kSymbol
                                 ? argument.tree->name(argument.root)
                                 : spelled_number(argument);
  return name.empty() || inside.empty() ? std::string() : name + "(" + inside + ")";
}

}  // namespace

std::string spelled_name(Term term) {
  const auto is_symbol = [](Term part) { return part.kind() == NodeKind::kSymbol; };
  const auto name = [](Term part) { return part.tree->name(part.root); };
  switch (term.kind()) {
    case NodeKind::kSymbol:
      return name(term);
    case NodeKind::kMultiply:
      return term.child(1).node().is_grouped ? spelled_application(term) : std::string();
    case NodeKind::kApplication:
      return spelled_application(term);
    case NodeKind::kFunction: {
      if (term.node().detail != kAbs || !is_symbol(term.child(0))) return {};
      return "|" + name(term.child(0)) + "|";
    }
    case NodeKind::kTuple:
    case NodeKind::kRatio:
    case NodeKind::kDivide: {
      const char* between = term.kind() == NodeKind::kTuple   ? ","
                            : term.kind() == NodeKind::kRatio ? ":"
                                                              : "/";
      std::string all;
      for (size_t i = 0; i < term.num_children(); ++i) {
        if (!is_symbol(term.child(i))) return {};
        all += (i ? between : "(") + name(term.child(i));
      }
      return all + ")";
    }
    default:
      return {};
  }
}

bool is_relation(Term term) { return term.kind() == NodeKind::kRelation; }

bool is_inequality(Term term) {
  return is_relation(term) &&
         term.tree->name(term.root).find_first_of("<>lgn") != std::string::npos;
}

std::optional<Statement> read_statement(Term term) {
  if (!is_relation(term)) return {};
  const std::string& relations = term.tree->name(term.root);
  if (relations.find_first_not_of("=i~") != relations.npos) return {};
  size_t num_sides = term.num_children();
  // What follows "approximately" says less than what stands before it.
  const size_t approximate = relations.find('~');
  if (approximate != relations.npos) num_sides = std::max<size_t>(approximate + 1, 2);
  Statement statement;
  statement.name = spelled_name(term.child(0));
  statement.value = term.child(num_sides - 1);
  for (size_t i = num_sides; i < term.num_children(); ++i) {
    statement.nearby.push_back(term.child(i));
  }
  size_t begin = 1;
  if (statement.name.empty()) {
    // "1/3 is about 0.333" says 1/3.
    if (approximate == 0) {
      statement.value = term.child(0);
      statement.nearby.push_back(term.child(1));
    }
    const std::string last = spelled_name(statement.value);
    const bool is_equation = relations == "=";
    if (is_equation && num_sides == 2 && !last.empty() &&
        variables_of(term.child(0)).empty()) {  // 3 = x
      statement.name = last;
      statement.value = term.child(0);
      return statement;
    }
    for (size_t i = 0; i < num_sides; ++i) {
      if (!variables_of(term.child(i)).empty()) return {};
    }
    begin = 0;
    if (approximate == 0) return statement;
  } else if (has_name(statement.value, term.child(0))) {
    return {};
  }
  for (size_t i = begin; i + 1 < num_sides; ++i) statement.between.push_back(term.child(i));
  return statement;
}

}  // namespace troupe::actors
