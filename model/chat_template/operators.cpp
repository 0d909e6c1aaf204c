#include "model/chat_template/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/chat_template/printing.h"

namespace troupe::model::chat_template {
namespace {

const char* sign_of(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    case Operator::kPower:
      return "**";
    case Operator::kEqual:
      return "==";
    case Operator::kNotEqual:
      return "!=";
    case Operator::kLess:
      return "<";
    case Operator::kLessEqual:
      return "<=";
    case Operator::kGreater:
      return ">";
    case Operator::kGreaterEqual:
      return ">=";
    case Operator::kIn:
      return "in";
    case Operator::kNotIn:
      return "not in";
  }
  return "?";
}

Value fail_kinds(Run& run, int line, Operator op, const Value& a, const Value& b) {
  if (a.is_undefined()) return run.fail_undefined(line, a);
  if (b.is_undefined()) return run.fail_undefined(line, b);
  return run.fail(
      line, fmt::format("'{}' cannot be done with {} and {}", sign_of(op), a.kind(), b.kind()));
}

// Rounded down, as Python divides.
int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

bool power(int64_t base, int64_t exponent, int64_t& out) {
  out = 1;
  for (int64_t i = 0; i < exponent && i < 64; ++i) {
    if (__builtin_mul_overflow(out, base, &out)) return false;
  }
  // Beyond 64 factors only these stay within 64 bits.
  if (exponent > 64 && base == -1) out = exponent % 2 == 0 ? 1 : -1;
  return exponent <= 64 || (base >= -1 && base <= 1);
}

Value of_integers(Run& run, int line, Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool is_too_large = false;
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) return run.fail(line, "a division by zero");
  if (divides && b == -1 && a == INT64_MIN) return run.fail(line, "a number becomes too large");
  switch (op) {
    case Operator::kAdd:
      is_too_large = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      is_too_large = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      is_too_large = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      return Value::number(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      result = floor_divide(a, b);
      break;
    case Operator::kModulo:
      result = a - floor_divide(a, b) * b;
      break;
    default:
      if (b < 0) return run.fail(line, "a power below zero is not known");
      is_too_large = !power(a, b, result);
  }
  if (is_too_large) return run.fail(line, "a number becomes too large");
  return Value::integer(result);
}

Value of_floats(Run& run, int line, Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value::number(a + b);
    case Operator::kSubtract:
      return Value::number(a - b);
    case Operator::kMultiply:
      return Value::number(a * b);
    case Operator::kDivide:
      if (b == 0) return run.fail(line, "a division by zero");
      return Value::number(a / b);
    default:
      return run.fail(line, fmt::format("'{}' of numbers with a point is not known", sign_of(op)));
  }
}

Value repeated(Run& run, int line, const Value& value, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (const Text* text = value.as_text()) {
    if (!text->empty() && count > kTextBytesMax / text->size()) {
      return run.fail(line, "a text becomes too long");
    }
    if (!run.can_hold(line, text->size() * count)) return {};
    Text made;
    made.is_markup = text->is_markup;
    for (size_t i = 0; i < count && !text->empty(); ++i) made.append(*text);
    return Value::text(std::move(made));
  }
  const List& list = *value.as_list();
  if (!list.items.empty() && count > kItemsMax / list.items.size()) {
    return run.fail(line, "a list becomes too long");
  }
  std::vector<Value> items;
  for (size_t i = 0; i < count && !list.items.empty(); ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return run.list(line, std::move(items), list.flavour);
}

Text escaped(const Text& text) {
  Text made;
  for (size_t at = 0; at < text.size(); ++at) {
    switch (text.bytes()[at]) {
      case '&':
        made.append_as("&amp;", text, at);
        break;
      case '<':
        made.append_as("&lt;", text, at);
        break;
      case '>':
        made.append_as("&gt;", text, at);
        break;
      case '\'':
        made.append_as("&#39;", text, at);
        break;
      case '"':
        made.append_as("&#34;", text, at);
        break;
      default:
        made.append(text, at, 1);
    }
  }
  return made;
}

bool is_list_or_tuple(const Value& value) {
  const List* list = value.as_list();
  return list != nullptr &&
         (list->flavour == List::Flavour::kList || list->flavour == List::Flavour::kTuple);
}

Value added(Run& run, int line, const Value& a, const Value& b) {
  if (const Text* x = a.as_text(), *y = b.as_text(); x != nullptr && y != nullptr) {
    if (!run.can_hold(line, x->size() + y->size())) return {};
    // What is added to a `safe` text is made fit for HTML, whether anybody wants HTML or not.
    const bool is_markup = x->is_markup || y->is_markup;
    Text made = is_markup && !x->is_markup ? escaped(*x) : *x;
    made.append(is_markup && !y->is_markup ? escaped(*y) : *y);
    made.is_markup = is_markup;
    return Value::text(std::move(made));
  }
  if (is_list_or_tuple(a) && is_list_or_tuple(b) && a.as_list()->flavour == b.as_list()->flavour) {
    if (!run.can_hold_items(line, a.as_list()->items.size() + b.as_list()->items.size())) return {};
    std::vector<Value> items = a.as_list()->items;
    const auto& more = b.as_list()->items;
    items.insert(items.end(), more.begin(), more.end());
    return run.list(line, std::move(items), a.as_list()->flavour);
  }
  return fail_kinds(run, line, Operator::kAdd, a, b);
}

}  // namespace

bool needs_escapes(const Text& text) {
  return text.bytes().find_first_of("&<>'\"") != std::string::npos;
}

Value computed(Run& run, int line, Operator op, const Value& a, const Value& b) {
  if (!run.spend(line)) return {};
  if (a.is_number() && b.is_number()) {
    if (a.as_float() == nullptr && b.as_float() == nullptr) {
      return of_integers(run, line, op, a.to_integer(), b.to_integer());
    }
    return of_floats(run, line, op, a.to_float(), b.to_float());
  }
  if (op == Operator::kAdd) return added(run, line, a, b);
  if (op == Operator::kMultiply) {
    const auto can_be_repeated = [](const Value& value) {
      return value.as_text() != nullptr || is_list_or_tuple(value);
    };
    if (can_be_repeated(a) && b.is_number() && b.as_float() == nullptr) {
      return repeated(run, line, a, b.to_integer());
    }
    if (can_be_repeated(b) && a.is_number() && a.as_float() == nullptr) {
      return repeated(run, line, b, a.to_integer());
    }
  }
  if (op == Operator::kModulo && a.as_text() != nullptr) {
    const List* tuple = b.as_list();
    if (tuple != nullptr && tuple->flavour == List::Flavour::kTuple) {
      return formatted(run, line, *a.as_text(), tuple->items);
    }
    return formatted(run, line, *a.as_text(), {b});
  }
  return fail_kinds(run, line, op, a, b);
}

bool contains(Run& run, int line, const Value& container, const Value& item) {
  if (!run.spend(line, container.weight())) return false;
  if (const Text* text = container.as_text()) {
    if (const Text* piece = item.as_text()) {
      if (!run.can_search(line, text->size(), piece->size())) return false;
      return text->bytes().find(piece->bytes()) != std::string::npos;
    }
    fail_kinds(run, line, Operator::kIn, item, container);
    return false;
  }
  if (const Dict* dict = container.as_dict()) return dict->find(item) != nullptr;
  if (container.is_undefined()) return false;
  std::vector<Value> items;
  if (!items_of(run, line, container, items)) return false;
  return std::any_of(items.begin(), items.end(),
                     [&item](const Value& one) { return is_equal(one, item); });
}

bool holds(Run& run, int line, Operator op, const Value& a, const Value& b) {
  if (!run.spend(line, 1 + std::min(a.weight(), b.weight()))) return false;
  if (op == Operator::kEqual || op == Operator::kNotEqual) {
    return is_equal(a, b) == (op == Operator::kEqual);
  }
  if (op == Operator::kIn || op == Operator::kNotIn) {
    return contains(run, line, b, a) == (op == Operator::kIn);
  }
  const Order order = order_of(a, b);
  // Numbers that are no numbers are in no order, and that is no error.
  if (order == Order::kNone && !(a.is_number() && b.is_number())) {
    fail_kinds(run, line, op, a, b);
  }
  switch (op) {
    case Operator::kLess:
      return order == Order::kLess;
    case Operator::kLessEqual:
      return order == Order::kLess || order == Order::kEqual;
    case Operator::kGreater:
      return order == Order::kGreater;
    default:
      return order == Order::kGreater || order == Order::kEqual;
  }
}

Value formatted(Run& run, int line, const Text& format, const std::vector<Value>& values) {
  if (!run.spend(line, 1 + format.size() / 32)) return {};
  if (format.is_markup) return run.fail(line, "'%' of what the filter 'safe' gave is not known");
  Text out;
  size_t num_used = 0;
  const std::string& bytes = format.bytes();
  for (size_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] != '%') {
      out.append(format, at, 1);
      continue;
    }
    const char kind = ++at < bytes.size() ? bytes[at] : '\0';
    if (kind == '%') {
      out.append(format, at, 1);
      continue;
    }
    if (kind != 's' && kind != 'd') {
      return run.fail(line, "a format with more than %s, %d and %% is not known");
    }
    if (num_used == values.size()) return run.fail(line, "a format has too few values");
    const Value& value = values[num_used++];
    if (kind == 'd' && !value.is_number()) {
      return run.fail(line, fmt::format("%d cannot be {}", value.kind()));
    }
    const Value whole =
        kind == 'd' && value.as_float() == nullptr ? Value::integer(value.to_integer()) : value;
    if (kind == 'd' && value.as_float() != nullptr) {
      return run.fail(line, "%d of a number with a point is not known");
    }
    out.append(printed(run, line, whole));
    if (!run.can_hold(line, out.size())) return {};
  }
  if (num_used != values.size()) return run.fail(line, "a format has too many values");
  return Value::text(std::move(out));
}

}  // namespace troupe::model::chat_template
