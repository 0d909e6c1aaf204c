#include "model/chat_template/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "model/chat_template/access.h"
#include "model/chat_template/filters.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/printing.h"

namespace troupe::model::chat_template {
namespace {

using Kind = Expression::Kind;

// Names and what they stand for. A loop's pass, a macro's call and some tags have their own, in
// which those around them are seen but not changed.
struct Scope {
  Scope* parent = nullptr;
  Variables variables{};

  Value* find(std::string_view name) {
    const auto found = std::find_if(variables.begin(), variables.end(),
                                    [&](const auto& variable) { return variable.first == name; });
    return found == variables.end() ? nullptr : &found->second;
  }

  void set(const std::string& name, Value value) {
    if (Value* found = find(name)) {
      *found = std::move(value);
    } else {
      variables.emplace_back(name, std::move(value));
    }
  }
};

class Interpreter {
 public:
  explicit Interpreter(Variables variables) : root_{.variables = std::move(variables)} {}

  Result<Text> run(const Statements& statements) {
    Text out;
    execute(statements, root_, out);
    if (run_.has_failed()) return run_.error();
    return out;
  }

 private:
  enum class Flow : uint8_t { kOn, kBreak, kContinue };

  // How deep the tree and its macros are being walked.
  class Level {
   public:
    Level(Interpreter& interpreter, int line) : interpreter_(interpreter) {
      if (++interpreter_.depth_ > kDepthMax) {
        interpreter_.run_.fail(line, "the template calls itself too deeply");
      }
    }
    ~Level() { --interpreter_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Interpreter& interpreter_;
  };

  // Statements.

  Flow execute(const Statements& statements, Scope& scope, Text& out) {
    for (const Statement& statement : statements) {
      if (!run_.spend(statement.line)) return Flow::kOn;
      const Flow flow = execute(statement, scope, out);
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  Flow execute(const Statement& statement, Scope& scope, Text& out) {
    using StatementKind = Statement::Kind;
    const Level level(*this, statement.line);
    if (run_.has_failed()) return Flow::kOn;
    switch (statement.kind) {
      case StatementKind::kText:
        write(statement.line, Text::own(statement.text), out);
        return Flow::kOn;
      case StatementKind::kPrint:
        write(statement.line,
              printed(run_, statement.line, evaluate(*statement.expressions[0], scope)), out);
        return Flow::kOn;
      case StatementKind::kIf:
        return execute_if(statement, scope, out);
      case StatementKind::kFor:
        return execute_for(statement, scope, out);
      case StatementKind::kSet:
        set(statement, statement.targets[0], evaluate(*statement.expressions[0], scope), scope);
        return Flow::kOn;
      case StatementKind::kSetText:
        set(statement, statement.targets[0], Value::text(text_of_body(statement, scope)), scope);
        return Flow::kOn;
      case StatementKind::kFilterText:
      case StatementKind::kGeneration:
        write(statement.line, text_of_body(statement, scope), out);
        return Flow::kOn;
      case StatementKind::kMacro:
        scope.set(statement.text, Value::macro(&statement));
        return Flow::kOn;
      case StatementKind::kWith: {
        Scope inner{.parent = &scope};
        for (size_t i = 0; i < statement.targets.size(); ++i) {
          set(statement, statement.targets[i], evaluate(*statement.expressions[i], scope), inner);
        }
        return execute(statement.bodies[0], inner, out);
      }
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  void write(int line, const Text& text, Text& out) {
    if (run_.can_hold(line, text.size()) && out.size() + text.size() <= kTextBytesMax) {
      out.append(text);
    } else {
      run_.fail(line, "the prompt becomes too long");
    }
  }

  Flow execute_if(const Statement& statement, Scope& scope, Text& out) {
    for (size_t i = 0; i < statement.expressions.size(); ++i) {
      const bool is_true = evaluate(*statement.expressions[i], scope).is_true();
      if (run_.has_failed()) return Flow::kOn;
      if (is_true) return execute(statement.bodies[i], scope, out);
    }
    const bool has_else = statement.bodies.size() > statement.expressions.size();
    return has_else ? execute(statement.bodies.back(), scope, out) : Flow::kOn;
  }

  Flow execute_for(const Statement& statement, Scope& scope, Text& out) {
    std::vector<Value> items;
    const Value all = evaluate(*statement.expressions[0], scope);
    if (!items_of(run_, statement.line, all, items)) return Flow::kOn;
    if (statement.expressions[1] != nullptr) keep_passing(statement, scope, items);
    const auto loop = std::make_shared<Loop>();
    for (const Value& item : items) loop->depth = std::max(loop->depth, item.depth() + 1);
    loop->items = std::move(items);
    if (loop->items.empty() && statement.bodies.size() > 1) {
      return execute(statement.bodies[1], scope, out);
    }
    for (; loop->index < loop->items.size() && !run_.has_failed(); ++loop->index) {
      Scope inner{.parent = &scope};
      inner.set("loop", Value::of(loop));
      set(statement, statement.targets[0], loop->items[loop->index], inner);
      if (execute(statement.bodies[0], inner, out) == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  void keep_passing(const Statement& statement, Scope& scope, std::vector<Value>& items) {
    std::vector<Value> kept;
    for (const Value& item : items) {
      if (run_.has_failed()) return;
      Scope inner{.parent = &scope};
      set(statement, statement.targets[0], item, inner);
      if (evaluate(*statement.expressions[1], inner).is_true()) kept.push_back(item);
    }
    items = std::move(kept);
  }

  // What a tag's body writes, in a scope of its own, through the filters that the tag may have.
  Text text_of_body(const Statement& statement, Scope& scope) {
    Scope inner{.parent = &scope};
    Text text;
    execute(statement.bodies[0], inner, text);
    if (statement.expressions.empty() || run_.has_failed()) return text;
    body_text_ = Value::text(std::move(text));
    return printed(run_, statement.line, evaluate(*statement.expressions[0], scope));
  }

  void set(const Statement& statement, const Target& target, const Value& value, Scope& scope) {
    if (run_.has_failed()) return;
    if (!target.attribute.empty()) {
      set_attribute(statement.line, target, value, scope);
    } else if (!target.is_tuple) {
      scope.set(target.names[0], value);
    } else {
      std::vector<Value> items;
      if (!items_of(run_, statement.line, value, items)) return;
      if (items.size() != target.names.size()) {
        run_.fail(statement.line, fmt::format("{} values cannot be set to {} names", items.size(),
                                              target.names.size()));
        return;
      }
      for (size_t i = 0; i < items.size(); ++i) scope.set(target.names[i], items[i]);
    }
  }

  void set_attribute(int line, const Target& target, const Value& value, Scope& scope) {
    const Value found = look_up(line, target.names[0], scope);
    Namespace* space = found.as_namespace();
    if (space == nullptr) {
      run_.fail(line, fmt::format("'{}' is no namespace; '{}.{}' cannot be set", target.names[0],
                                  target.names[0], target.attribute));
    } else if (Value* attribute = space->find(target.attribute)) {
      *attribute = value;
    } else {
      space->attributes.emplace_back(target.attribute, value);
    }
  }

  // Expressions.

  Value look_up(int line, const std::string& name, Scope& scope) {
    for (Scope* at = &scope; at != nullptr; at = at->parent) {
      if (!run_.spend(line, 1 + at->variables.size() / 16)) return {};
      if (const Value* found = at->find(name)) return *found;
    }
    for (const auto& [its_name, function] : {std::pair("range", Function::kRange),
                                             {"namespace", Function::kNamespace},
                                             {"dict", Function::kDict},
                                             {"raise_exception", Function::kRaiseException}}) {
      if (name == its_name) return Value::of(function);
    }
    for (const char* unknown : {"self", "cycler", "joiner", "lipsum"}) {
      if (name == unknown) return run_.fail(line, fmt::format("the name '{}' is not known", name));
    }
    return Value::undefined(fmt::format("'{}'", name));
  }

  Value evaluate(const Expression& node, Scope& scope) {
    const Level level(*this, node.line);
    if (!run_.spend(node.line)) return {};
    switch (node.kind) {
      case Kind::kConstant:
        return node.constant;
      case Kind::kName:
        return look_up(node.line, node.name, scope);
      case Kind::kList:
      case Kind::kTuple:
        return run_.list(node.line, all_of(node, scope),
                         node.kind == Kind::kList ? List::Flavour::kList : List::Flavour::kTuple);
      case Kind::kDict:
        return dict(node, scope);
      case Kind::kAttribute:
        return attribute_of(run_, node.line, evaluate(*node.parts[0], scope), node.name);
      case Kind::kItem: {
        const Value value = evaluate(*node.parts[0], scope);
        return item_of(run_, node.line, value, evaluate(*node.parts[1], scope));
      }
      case Kind::kSlice:
        return slice(node, scope);
      case Kind::kCall:
        return call(node, scope);
      case Kind::kFilter: {
        const Value value = filter_input(*node.parts[0], scope);
        return filtered(run_, node.name, value, arguments(node, scope));
      }
      case Kind::kTest: {
        const Value value = evaluate(*node.parts[0], scope);
        return Value::boolean(passes_test(run_, node.name, value, arguments(node, scope)));
      }
      case Kind::kNot:
        return Value::boolean(!evaluate(*node.parts[0], scope).is_true());
      case Kind::kNegative:
      case Kind::kPositive:
        return with_sign(node, evaluate(*node.parts[0], scope));
      case Kind::kBinary: {
        const Value left = evaluate(*node.parts[0], scope);
        return computed(run_, node.line, node.operators[0], left, evaluate(*node.parts[1], scope));
      }
      case Kind::kComparison:
        return compare(node, scope);
      case Kind::kAnd:
      case Kind::kOr: {
        Value left = evaluate(*node.parts[0], scope);
        return left.is_true() == (node.kind == Kind::kOr) ? left : evaluate(*node.parts[1], scope);
      }
      case Kind::kConcatenation:
        return concatenate(node, scope);
      case Kind::kConditional:
        if (evaluate(*node.parts[0], scope).is_true()) return evaluate(*node.parts[1], scope);
        if (node.parts[2] != nullptr) return evaluate(*node.parts[2], scope);
        return Value::undefined("what an 'if' without 'else' gives");
    }
    return {};
  }

  // The innermost filter of a tag's body has no value of its own, but that body.
  Value filter_input(const Expression& node, Scope& scope) {
    const bool is_body = node.kind == Kind::kConstant && node.constant.is_undefined();
    return is_body ? std::exchange(body_text_, Value()) : evaluate(node, scope);
  }

  std::vector<Value> all_of(const Expression& node, Scope& scope, size_t begin = 0) {
    std::vector<Value> all;
    for (size_t i = begin; i < node.parts.size() && !run_.has_failed(); ++i) {
      all.push_back(evaluate(*node.parts[i], scope));
    }
    return all;
  }

  Arguments arguments(const Expression& node, Scope& scope) {
    Arguments made{.line = node.line, .positional = all_of(node, scope, 1)};
    for (const auto& [name, value] : node.named) {
      made.named.emplace_back(name, evaluate(*value, scope));
    }
    return made;
  }

  Value dict(const Expression& node, Scope& scope) {
    std::vector<std::pair<Value, Value>> items;
    for (size_t i = 0; i + 1 < node.parts.size() && !run_.has_failed(); i += 2) {
      Value key = evaluate(*node.parts[i], scope);
      items.emplace_back(std::move(key), evaluate(*node.parts[i + 1], scope));
    }
    return run_.dict(node.line, std::move(items));
  }

  Value slice(const Expression& node, Scope& scope) {
    const Value value = evaluate(*node.parts[0], scope);
    std::optional<int64_t> bounds[3];
    for (size_t i = 0; i < 3; ++i) {
      if (node.parts[i + 1] == nullptr) continue;
      const Value bound = evaluate(*node.parts[i + 1], scope);
      if (bound.is_none()) continue;
      if (!bound.is_number() || bound.as_float() != nullptr) {
        return bound.is_undefined() ? run_.fail_undefined(node.line, bound)
                                    : run_.fail(node.line, "a slice needs whole numbers");
      }
      // Far beyond any text, and far from where sums overflow.
      bounds[i] = std::clamp<int64_t>(bound.to_integer(), -(int64_t{1} << 40), int64_t{1} << 40);
    }
    return slice_of(run_, node.line, value,
                    {.begin = bounds[0], .end = bounds[1], .step = bounds[2].value_or(1)});
  }

  Value with_sign(const Expression& node, const Value& value) {
    if (value.is_undefined()) return run_.fail_undefined(node.line, value);
    if (!value.is_number()) {
      return run_.fail(node.line, fmt::format("{} has no sign", value.kind()));
    }
    if (node.kind == Kind::kPositive) {
      return computed(run_, node.line, Operator::kAdd, Value::integer(0), value);
    }
    // A zero with a point keeps its sign this way.
    if (value.as_float() != nullptr) return Value::number(-value.to_float());
    return computed(run_, node.line, Operator::kSubtract, Value::integer(0), value);
  }

  // a < b < c: all neighbours, each value once, up to the first that does not hold.
  Value compare(const Expression& node, Scope& scope) {
    Value left = evaluate(*node.parts[0], scope);
    for (size_t i = 0; i < node.operators.size(); ++i) {
      Value right = evaluate(*node.parts[i + 1], scope);
      if (run_.has_failed()) return {};
      if (!holds(run_, node.line, node.operators[i], left, right)) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  Value concatenate(const Expression& node, Scope& scope) {
    Text made;
    for (const Value& value : all_of(node, scope)) {
      made.append(printed(run_, node.line, value));
      if (!run_.can_hold(node.line, made.size())) return {};
    }
    return Value::text(std::move(made));
  }

  // Calls.

  Value call(const Expression& node, Scope& scope) {
    const Value callee = evaluate(*node.parts[0], scope);
    const Arguments given = arguments(node, scope);
    if (run_.has_failed()) return {};
    if (const Method* method = callee.as_method()) return call_method(run_, *method, given);
    if (const Statement* macro = callee.as_macro()) return call_macro(*macro, given);
    if (const Function* function = callee.as_function()) return call_function(*function, given);
    if (callee.is_undefined() && callee.what() == "'strftime_now'") {
      return run_.fail(node.line,
                       "'strftime_now' is not here: a prompt does not depend on the day");
    }
    if (callee.is_undefined()) return run_.fail_undefined(node.line, callee);
    return run_.fail(node.line, fmt::format("{} cannot be called", callee.kind()));
  }

  Value call_macro(const Statement& macro, const Arguments& given) {
    Scope scope{.parent = &root_};
    const auto& names = macro.parameters;
    const std::string what = fmt::format("the macro '{}'", macro.text);
    if (given.positional.size() > names.size()) {
      return run_.fail(given.line, fmt::format("{} takes {} arguments, not {}", what, names.size(),
                                               given.positional.size()));
    }
    for (const auto& [name, value] : given.named) {
      const auto at =
          static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
      if (at == names.size() || at < given.positional.size()) {
        return run_.fail(given.line, fmt::format("{}: the argument '{}' is not known", what, name));
      }
      scope.set(name, value);
    }
    for (size_t i = 0; i < names.size(); ++i) {
      if (i < given.positional.size()) {
        scope.set(names[i], given.positional[i]);
      } else if (scope.find(names[i]) == nullptr) {
        const ExpressionPtr& otherwise = macro.expressions[i];
        scope.set(names[i], otherwise != nullptr
                                ? evaluate(*otherwise, scope)
                                : Value::undefined(fmt::format("the parameter '{}'", names[i])));
      }
    }
    Text text;
    execute(macro.bodies[0], scope, text);
    return Value::text(std::move(text));
  }

  Value call_function(Function function, const Arguments& given) {
    std::vector<const Value*> values;
    switch (function) {
      case Function::kRange:
        return range(given);
      case Function::kNamespace:
        return make_namespace(given);
      case Function::kDict: {
        if (!given.positional.empty())
          return run_.fail(given.line, "'dict' of a value is not known");
        std::vector<std::pair<Value, Value>> items;
        for (const auto& [name, value] : given.named) items.emplace_back(Value::own(name), value);
        return run_.dict(given.line, std::move(items));
      }
      case Function::kRaiseException:
        if (!assign(run_, given, "'raise_exception'", {"message"}, values)) return {};
        return run_.raise(given.line, values[0] == nullptr
                                          ? std::string()
                                          : printed(run_, given.line, *values[0]).bytes());
    }
    return {};
  }

  Value make_namespace(const Arguments& given) {
    Namespace& space = namespaces_.emplace_back();
    for (const Value& value : given.positional) {
      const Dict* dict = value.as_dict();
      if (dict == nullptr) return run_.fail(given.line, "'namespace' takes names and dicts");
      for (const auto& [key, item] : dict->items) {
        if (key.as_text() == nullptr) return run_.fail(given.line, "'namespace' takes names");
        space.attributes.emplace_back(key.as_text()->bytes(), item);
      }
    }
    for (const auto& [name, value] : given.named) {
      if (Value* found = space.find(name)) {
        *found = value;
      } else {
        space.attributes.emplace_back(name, value);
      }
    }
    return Value::of(&space);
  }

  Value range(const Arguments& given) {
    if (!given.named.empty() || given.positional.empty() || given.positional.size() > 3) {
      return run_.fail(given.line, "'range' takes one to three numbers");
    }
    int64_t numbers[3] = {0, 0, 1};
    for (size_t i = 0; i < given.positional.size(); ++i) {
      const Value& value = given.positional[i];
      if (value.is_undefined()) return run_.fail_undefined(given.line, value);
      if (!value.is_number() || value.as_float() != nullptr) {
        return run_.fail(given.line, "'range' takes whole numbers");
      }
      numbers[given.positional.size() == 1 ? 1 : i] = value.to_integer();
    }
    const auto [begin, end, step] = numbers;
    constexpr int64_t kFar = int64_t{1} << 40;
    if (step == 0 || std::max({begin, end, step}) > kFar || std::min({begin, end, step}) < -kFar) {
      return run_.fail(given.line, "'range' cannot count like that");
    }
    const int64_t count =
        step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
    if (count > static_cast<int64_t>(kItemsMax)) {
      return run_.fail(given.line, "a list becomes too long");
    }
    std::vector<Value> items;
    for (int64_t i = 0; i < count; ++i) items.push_back(Value::integer(begin + i * step));
    return run_.list(given.line, std::move(items), List::Flavour::kRange);
  }

  Run run_{};
  Scope root_{};
  std::deque<Namespace> namespaces_{};  // Values point to them.
  Value body_text_{};
  int depth_ = 0;
};

}  // namespace

Result<Text> run(const Statements& statements, Variables variables) {
  return Interpreter(std::move(variables)).run(statements);
}

}  // namespace troupe::model::chat_template
