#include "model/chat_template/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "model/chat_template/access.h"
#include "model/chat_template/operators.h"
#include "model/chat_template/printing.h"
#include "model/chat_template/text_methods.h"

namespace troupe::model::chat_template {
namespace {

// One use of a filter.
class Filter {
 public:
  Filter(Run& run, const std::string& name, const Value& value, const Arguments& arguments)
      : run_(run), name_(name), value_(value), arguments_(arguments), line_(arguments.line) {}

  Value apply() {
    struct Known {
      std::string_view name;
      Value (Filter::*apply)();
    };
    constexpr std::array<Known, 36> kKnown = {{{"abs", &Filter::absolute},
                                               {"attr", &Filter::attribute},
                                               {"capitalize", &Filter::changed_case},
                                               {"count", &Filter::length},
                                               {"d", &Filter::or_default},
                                               {"default", &Filter::or_default},
                                               {"dictsort", &Filter::dict_sorted},
                                               {"first", &Filter::first},
                                               {"float", &Filter::as_number},
                                               {"format", &Filter::format},
                                               {"indent", &Filter::indented},
                                               {"int", &Filter::as_number},
                                               {"items", &Filter::items},
                                               {"join", &Filter::joined},
                                               {"last", &Filter::last},
                                               {"length", &Filter::length},
                                               {"list", &Filter::as_list},
                                               {"lower", &Filter::changed_case},
                                               {"map", &Filter::map},
                                               {"max", &Filter::extreme},
                                               {"min", &Filter::extreme},
                                               {"reject", &Filter::select},
                                               {"rejectattr", &Filter::select},
                                               {"replace", &Filter::replace},
                                               {"reverse", &Filter::reversed},
                                               {"safe", &Filter::safe},
                                               {"select", &Filter::select},
                                               {"selectattr", &Filter::select},
                                               {"sort", &Filter::sorted},
                                               {"string", &Filter::string},
                                               {"sum", &Filter::sum},
                                               {"title", &Filter::changed_case},
                                               {"tojson", &Filter::to_json},
                                               {"trim", &Filter::trim},
                                               {"unique", &Filter::unique},
                                               {"upper", &Filter::changed_case}}};
    const auto* found = std::find_if(kKnown.begin(), kKnown.end(),
                                     [this](const Known& known) { return known.name == name_; });
    if (found == kKnown.end() || name_.empty()) {
      return run_.fail(line_, fmt::format("the filter '{}' is not known", name_));
    }
    if (!run_.spend(line_, 1 + value_.weight())) return {};
    return (this->*found->apply)();
  }

 private:
  bool takes(std::initializer_list<std::string_view> parameters) {
    return assign(run_, arguments_, fmt::format("the filter '{}'", name_), parameters, values_);
  }

  bool is_given(size_t index) const {
    return values_[index] != nullptr && !values_[index]->is_none();
  }
  bool is_on(size_t index, bool otherwise = false) const {
    return values_[index] == nullptr ? otherwise : values_[index]->is_true();
  }

  Value fail(std::string_view what) {
    return run_.fail(line_, fmt::format("the filter '{}' {}", name_, what));
  }

  // As text, which keeps what is one as it is.
  Text text_of(const Value& value) { return printed(run_, line_, value); }

  bool elements(std::vector<Value>& items) { return items_of(run_, line_, value_, items); }

  // map, select and their kin take whatever is not true for a list of nothing.
  bool elements_if_true(std::vector<Value>& items) { return !value_.is_true() || elements(items); }

  Value trim() {
    if (!takes({"chars"})) return {};
    Arguments characters{.line = line_};
    if (is_given(0)) characters.positional.push_back(*values_[0]);
    return call_text_method(run_, text_of(value_), "strip", characters);
  }

  Value string() {
    if (!takes({})) return {};
    return Value::text(text_of(value_));
  }

  Value safe() {
    if (!takes({})) return {};
    Text text = text_of(value_);
    text.is_markup = true;
    return Value::text(std::move(text));
  }

  Value changed_case() {
    if (!takes({})) return {};
    const Text text = text_of(value_);
    if (name_ == "title") return titled(text);
    return Value::text(in_case(run_, line_, text,
                               name_ == "upper"   ? Case::kUpper
                               : name_ == "lower" ? Case::kLower
                                                  : Case::kCapitalised));
  }

  // The filter's words, other than the method's, begin after white space and a few signs only.
  Value titled(const Text& text) {
    Text made;
    size_t begin = 0;
    const auto flush = [&](size_t end) {
      made.append(in_case(run_, line_, text.part(begin, end - begin), Case::kCapitalised));
      begin = end;
    };
    const std::string_view bytes = text.bytes();
    size_t size = 0;
    for (size_t at = 0; at < bytes.size(); at += size) {
      const int32_t point = first_point(bytes.substr(at), size);
      const bool ends_word =
          is_white_space(point) ||
          (point >= 0 && point < 128 &&
           std::string_view("-({[<").find(static_cast<char>(point)) != std::string_view::npos);
      if (!ends_word) continue;
      flush(at);
      flush(at + size);
    }
    flush(bytes.size());
    return Value::text(std::move(made));
  }

  Value length() {
    if (!takes({})) return {};
    if (const Text* text = value_.as_text()) {
      return Value::integer(static_cast<int64_t>(num_characters(text->bytes())));
    }
    if (const Dict* dict = value_.as_dict()) {
      return Value::integer(static_cast<int64_t>(dict->items.size()));
    }
    const List* list = value_.as_list();
    if (list != nullptr && list->flavour != List::Flavour::kIterator) {
      return Value::integer(static_cast<int64_t>(list->items.size()));
    }
    if (value_.is_undefined()) return Value::integer(0);
    return fail(fmt::format("cannot count {}", value_.kind()));
  }

  Value or_default() {
    if (!takes({"default_value", "boolean"})) return {};
    const bool is_replaced = value_.is_undefined() || (is_on(1) && !value_.is_true());
    if (!is_replaced) return value_;
    return values_[0] == nullptr ? Value::own("") : *values_[0];
  }

  Value as_list() {
    std::vector<Value> all;
    if (!takes({}) || !elements(all)) return {};
    return run_.list(line_, std::move(all));
  }

  Value first() {
    std::vector<Value> all;
    if (!takes({})) return {};
    // Takes one only of what is gone through once.
    const List* list = value_.as_list();
    const size_t num_taken = list == nullptr ? 0 : list->num_taken;
    if (!elements(all)) return {};
    if (all.empty()) return Value::undefined("the first of no elements");
    if (list != nullptr && list->flavour == List::Flavour::kIterator) {
      list->num_taken = num_taken + 1;
    }
    return all.front();
  }

  Value last() {
    std::vector<Value> all;
    if (!takes({})) return {};
    const List* list = value_.as_list();
    if (list != nullptr && list->flavour == List::Flavour::kIterator) {
      return fail("cannot go through this from the end; use the filter 'list' before");
    }
    if (!elements(all)) return {};
    return all.empty() ? Value::undefined("the last of no elements") : all.back();
  }

  Value joined() {
    std::vector<Value> all;
    if (!takes({"d", "attribute"}) || !elements(all)) return {};
    const Text between = values_[0] == nullptr ? Text() : text_of(*values_[0]);
    Text made;
    for (size_t i = 0; i < all.size(); ++i) {
      if (i > 0) made.append(between);
      made.append(text_of(is_given(1) ? attribute_path(all[i], *values_[1]) : all[i]));
      if (made.size() > kTextBytesMax || !run_.spend(line_, 1 + between.size() / 32)) break;
    }
    if (!run_.can_hold(line_, made.size())) return {};
    return Value::text(std::move(made));
  }

  Value replace() {
    if (!takes({"old", "new", "count"})) return {};
    if (values_[0] == nullptr || values_[1] == nullptr) return fail("needs two texts");
    Text text = text_of(value_);
    text.is_markup = false;
    return replaced(run_, line_, text, text_of(*values_[0]), text_of(*values_[1]),
                    is_given(2) ? values_[2]->to_integer() : -1);
  }

  Value items() {
    if (!takes({})) return {};
    const Dict* dict = value_.as_dict();
    if (dict == nullptr && !value_.is_undefined()) {
      return fail(fmt::format("needs a dict, not {}", value_.kind()));
    }
    std::vector<Value> pairs;
    if (dict != nullptr) {
      for (const auto& [key, value] : dict->items) pairs.push_back(pair(key, value));
    }
    return run_.list(line_, std::move(pairs), List::Flavour::kIterator);
  }

  Value pair(const Value& a, const Value& b) {
    return run_.list(line_, {a, b}, List::Flavour::kTuple);
  }

  Value to_json() {
    if (!takes({"ensure_ascii", "indent", "separators", "sort_keys"})) return {};
    JsonStyle style{.is_ascii = is_on(0), .is_sorted = is_on(3)};
    if (is_given(1)) {
      if (!values_[1]->is_integer()) return fail("needs a number for indent");
      style.indent = std::clamp<int64_t>(values_[1]->to_integer(), 0, 64);
      style.item_separator = ",";
    }
    if (is_given(2)) {
      const List* pair = values_[2]->as_list();
      if (pair == nullptr || pair->items.size() != 2 || pair->items[0].as_text() == nullptr ||
          pair->items[1].as_text() == nullptr) {
        return fail("needs two texts for separators");
      }
      style.item_separator = pair->items[0].as_text()->bytes();
      style.key_separator = pair->items[1].as_text()->bytes();
    }
    Text text = as_json(run_, line_, value_, style);
    if (!run_.can_hold(line_, text.size())) return {};
    return Value::text(std::move(text));
  }

  Value indented() {
    if (!takes({"width", "first", "blank"})) return {};
    Text step;
    if (is_given(0) && values_[0]->as_text() != nullptr) {
      step = *values_[0]->as_text();
    } else {
      const int64_t width = is_given(0) ? values_[0]->to_integer() : 4;
      step.append_own(std::string(static_cast<size_t>(std::clamp<int64_t>(width, 0, 1024)), ' '));
    }
    // Jinja adds a line's end first, so that one at the end is another line.
    Text text = text_of(value_);
    text.append_own("\n");
    const std::vector<Text> lines = lines_of(text);
    Text made;
    for (size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) made.append_own("\n");
      const bool has_step = i == 0 ? is_on(1) : !lines[i].empty() || is_on(2);
      if (has_step) made.append(step);
      made.append(lines[i]);
      if (!run_.spend(line_, 1 + step.size() / 32) || made.size() > kTextBytesMax) break;
    }
    if (!run_.can_hold(line_, made.size())) return {};
    return Value::text(std::move(made));
  }

  // What Python reads as a number, else the default.
  Value as_number() {
    if (!takes({"default", "base"})) return {};
    const bool is_whole = name_ == "int";
    if (is_given(1)) return fail("is not known with a base");
    const Value otherwise = values_[0] != nullptr ? *values_[0]
                            : is_whole            ? Value::integer(0)
                                                  : Value::number(0);
    if (value_.is_undefined()) return run_.fail_undefined(line_, value_);
    double number = value_.to_float();
    if (const Text* text = value_.as_text()) {
      const auto digits = text->part(leading_bytes(text->bytes()), text->size()).bytes();
      const std::string_view trimmed(digits.data(), digits.size() - trailing_bytes(digits));
      const std::string_view unsigned_text = trimmed.starts_with('+') ? trimmed.substr(1) : trimmed;
      const char* end = unsigned_text.data() + unsigned_text.size();
      int64_t integer = 0;
      const auto whole = std::from_chars(unsigned_text.data(), end, integer);
      if (is_whole && whole.ec == std::errc() && whole.ptr == end) return Value::integer(integer);
      const auto read = std::from_chars(unsigned_text.data(), end, number);
      if (read.ec != std::errc() || read.ptr != end) return otherwise;
    } else if (!value_.is_number()) {
      return otherwise;
    } else if (is_whole && value_.as_float() == nullptr) {
      return Value::integer(value_.to_integer());
    }
    if (!is_whole) return Value::number(number);
    if (!std::isfinite(number)) return otherwise;
    if (std::abs(number) >= 9e18) return fail("makes a number that is too large");
    return Value::integer(static_cast<int64_t>(number));
  }

  Value absolute() {
    if (!takes({})) return {};
    if (!value_.is_number()) return fail("needs a number");
    if (value_.as_float() != nullptr) return Value::number(std::abs(value_.to_float()));
    if (value_.to_integer() == INT64_MIN) return fail("makes a number that is too large");
    return Value::integer(std::abs(value_.to_integer()));
  }

  Value attribute() {
    if (!takes({"name"})) return {};
    return fail("is not known; use a dot");
  }

  Value format() {
    const Text text = text_of(value_);
    if (!arguments_.named.empty()) return fail("is not known with names");
    return formatted(run_, line_, text, arguments_.positional);
  }

  // 'a.b.0' of a value.
  Value attribute_path(const Value& value, const Value& path) {
    if (path.is_integer()) return item_of(run_, line_, value, path);
    const Text* text = path.as_text();
    if (text == nullptr) return fail("needs an attribute's name");
    Value found = value;
    std::string_view rest = text->bytes();
    while (!run_.has_failed()) {
      const size_t dot = rest.find('.');
      const std::string_view part = rest.substr(0, dot);
      int64_t index = 0;
      const auto read = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool is_index = !part.empty() && read.ec == std::errc() &&
                            read.ptr == part.data() + part.size() && index >= 0;
      found = item_of(run_, line_, found, is_index ? Value::integer(index) : Value::own(part));
      if (dot == rest.npos) break;
      rest.remove_prefix(dot + 1);
    }
    return found;
  }

  Value map() {
    std::vector<Value> all;
    if (!elements_if_true(all)) return {};
    if (arguments_.positional.empty()) {
      if (!takes({"attribute", "default"})) return {};
      if (values_[0] == nullptr) return fail("needs an attribute or a filter's name");
      for (Value& item : all) {
        item = attribute_path(item, *values_[0]);
        if (item.is_undefined() && values_[1] != nullptr) item = *values_[1];
      }
    } else {
      const Arguments inner = inner_arguments(1);
      const std::string filter = inner_name(0);
      for (Value& item : all) {
        if (run_.has_failed()) break;
        item = filtered(run_, filter, item, inner);
      }
    }
    return run_.list(line_, std::move(all), List::Flavour::kIterator);
  }

  std::string inner_name(size_t index) {
    const Text* name = arguments_.positional[index].as_text();
    if (name == nullptr) fail("needs a name");
    return name == nullptr ? std::string() : name->bytes();
  }

  Arguments inner_arguments(size_t begin) const {
    Arguments inner{.line = line_, .named = arguments_.named};
    for (size_t i = begin; i < arguments_.positional.size(); ++i) {
      inner.positional.push_back(arguments_.positional[i]);
    }
    return inner;
  }

  // select, reject: a test of the element; selectattr, rejectattr: of an attribute of it.
  Value select() {
    std::vector<Value> all;
    const bool has_attribute = name_.ends_with("attr");
    const size_t test_at = has_attribute ? 1 : 0;
    if (arguments_.positional.size() < test_at) return fail("needs an attribute");
    if (!elements_if_true(all)) return {};
    const bool has_test = arguments_.positional.size() > test_at;
    const std::string test = has_test ? inner_name(test_at) : "";
    const Arguments inner = inner_arguments(test_at + 1);
    std::vector<Value> kept;
    for (const Value& item : all) {
      if (run_.has_failed()) break;
      const Value tested = has_attribute ? attribute_path(item, arguments_.positional[0]) : item;
      const bool is_passed = has_test ? passes_test(run_, test, tested, inner) : tested.is_true();
      if (is_passed == name_.starts_with("select")) kept.push_back(item);
    }
    return run_.list(line_, std::move(kept), List::Flavour::kIterator);
  }

  Value reversed() {
    if (!takes({})) return {};
    std::vector<Value> all;
    if (!elements(all)) return {};
    std::reverse(all.begin(), all.end());
    if (value_.as_text() == nullptr) {
      return run_.list(line_, std::move(all), List::Flavour::kIterator);
    }
    Text made;
    for (const Value& item : all) made.append(*item.as_text());
    return Value::text(std::move(made));
  }

  // Texts in lower case unless case counts.
  Value sort_key(const Value& value, bool is_case_sensitive) {
    if (is_case_sensitive || value.as_text() == nullptr) return value;
    return Value::text(in_case(run_, line_, *value.as_text(), Case::kLower));
  }

  struct Keyed {
    Value key{};
    Value item{};
  };

  bool sort(std::vector<Keyed>& all, bool is_down) {
    if (!run_.spend(line_, 16 * all.size())) return false;
    std::stable_sort(all.begin(), all.end(), [&](const Keyed& a, const Keyed& b) {
      const Order order = is_down ? order_of(b.key, a.key) : order_of(a.key, b.key);
      if (order == Order::kNone) fail("cannot order these elements");
      run_.spend(line_, std::min(a.key.weight(), b.key.weight()));
      return order == Order::kLess;
    });
    return !run_.has_failed();
  }

  Value sorted() {
    std::vector<Value> all;
    if (!takes({"reverse", "case_sensitive", "attribute"}) || !elements(all)) return {};
    std::vector<Keyed> keyed;
    for (const Value& item : all) {
      const Value by = is_given(2) ? attribute_path(item, *values_[2]) : item;
      keyed.push_back({sort_key(by, is_on(1)), item});
    }
    if (!sort(keyed, is_on(0))) return {};
    return items_in(keyed, List::Flavour::kList);
  }

  Value items_in(const std::vector<Keyed>& keyed, List::Flavour flavour) {
    std::vector<Value> all;
    for (const Keyed& one : keyed) all.push_back(one.item);
    return run_.list(line_, std::move(all), flavour);
  }

  Value dict_sorted() {
    if (!takes({"case_sensitive", "by", "reverse"})) return {};
    const Dict* dict = value_.as_dict();
    if (dict == nullptr) return fail(fmt::format("needs a dict, not {}", value_.kind()));
    const bool is_by_value = is_given(1) && is_equal(*values_[1], Value::own("value"));
    std::vector<Keyed> keyed;
    for (const auto& [key, value] : dict->items) {
      keyed.push_back({sort_key(is_by_value ? value : key, is_on(0)), pair(key, value)});
    }
    if (!sort(keyed, is_on(2))) return {};
    return items_in(keyed, List::Flavour::kList);
  }

  Value unique() {
    std::vector<Value> all;
    if (!takes({"case_sensitive", "attribute"}) || !elements(all)) return {};
    std::vector<Keyed> kept;
    for (const Value& item : all) {
      const Value by = is_given(1) ? attribute_path(item, *values_[1]) : item;
      const Value key = sort_key(by, is_on(0));
      if (!run_.spend(line_, 1 + kept.size())) return {};
      const auto same = [&](const Keyed& one) { return is_equal(one.key, key); };
      if (std::none_of(kept.begin(), kept.end(), same)) kept.push_back({key, item});
    }
    return items_in(kept, List::Flavour::kIterator);
  }

  Value extreme() {
    std::vector<Value> all;
    if (!takes({"case_sensitive", "attribute"}) || !elements(all)) return {};
    std::vector<Keyed> keyed;
    for (const Value& item : all) {
      const Value by = is_given(1) ? attribute_path(item, *values_[1]) : item;
      keyed.push_back({sort_key(by, is_on(0)), item});
    }
    if (keyed.empty()) return Value::undefined("the least or greatest of no elements");
    // The first of equal ones, from either side.
    if (!sort(keyed, name_ == "max")) return {};
    return keyed.front().item;
  }

  Value sum() {
    std::vector<Value> all;
    if (!takes({"attribute", "start"}) || !elements(all)) return {};
    Value total = values_[1] == nullptr ? Value::integer(0) : *values_[1];
    if (total.as_text() != nullptr) return fail("does not join texts");
    for (const Value& item : all) {
      const Value by = is_given(0) ? attribute_path(item, *values_[0]) : item;
      total = computed(run_, line_, Operator::kAdd, total, by);
    }
    return total;
  }

  Run& run_;
  const std::string& name_;
  const Value& value_;
  const Arguments& arguments_;
  const int line_;
  std::vector<const Value*> values_{};
};

}  // namespace

Value filtered(Run& run, const std::string& name, const Value& value, const Arguments& arguments) {
  return Filter(run, name, value, arguments).apply();
}

}  // namespace troupe::model::chat_template
