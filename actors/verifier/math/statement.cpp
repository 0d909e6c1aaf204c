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

}  // namespace

std::string spelled_name(Term term) {
  const auto is_symbol = [](Term part) { return part.kind() == NodeKind::kSymbol; };
  const auto name = [](Term part) { return part.tree->name(part.root); };
  switch (term.kind()) {
    case NodeKind::kSymbol:
      return name(term);
    case NodeKind::kMultiply: {
      const Term argument = term.child(1);
      if (!is_symbol(term.child(0)) || !argument.node().is_grouped) return {};
      if (is_symbol(argument)) return name(term.child(0)) + "(" + name(argument) + ")";
      if (argument.kind() != NodeKind::kNumber) return {};
      return name(term.child(0)) + "(" + argument.tree->literal(argument.root).digits + ")";
    }
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
  size_t begin = 1;
  if (statement.name.empty()) {
    const std::string last = spelled_name(statement.value);
    if (num_sides == 2 && !last.empty() && variables_of(term.child(0)).empty()) {  // 3 = x
      statement.name = last;
      statement.value = term.child(0);
      return statement;
    }
    for (size_t i = 0; i < num_sides; ++i) {
      if (!variables_of(term.child(i)).empty()) return {};
    }
    begin = 0;
  } else if (has_name(statement.value, term.child(0))) {
    return {};
  }
  for (size_t i = begin; i + 1 < num_sides; ++i) statement.between.push_back(term.child(i));
  return statement;
}

}  // namespace troupe::actors
