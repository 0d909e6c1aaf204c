#include "actors/verifier/code/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace troupe::actors {
namespace {

using Kind = Value::Kind;

// The parser refuses what no double can hold, so long integers reach it as {MARK: "digits"}.
constexpr size_t kPlainDigitsMax = 300;

size_t digits_end(std::string_view text, size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

struct MarkedText {
  std::string text{};
  std::string mark{};  // Empty: the text has no long integers.
};

MarkedText with_long_integers_marked(std::string_view text) {
  MarkedText marked;
  size_t done = 0;
  bool is_in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_in_string) {
      if (c == '\\') ++i;
      is_in_string = c != '"';
      continue;
    }
    is_in_string = c == '"';
    const size_t begin = i;
    const size_t end = digits_end(text, begin + (c == '-' ? 1 : 0));
    if (end <= begin + 1) continue;
    i = end - 1;
    const bool is_whole = end == text.size() || (text[end] != '.' && (text[end] | 32) != 'e');
    const bool has_zero = text[begin + (c == '-' ? 1 : 0)] == '0';  // 01 is no JSON.
    if (end - begin <= kPlainDigitsMax || !is_whole || has_zero) continue;
    // A key that the text does not have.
    if (marked.mark.empty()) {
      marked.mark = "long integer";
      while (text.find(marked.mark) != text.npos) marked.mark += '*';
    }
    marked.text += text.substr(done, begin - done);
    marked.text +=
        "{\"" + marked.mark + "\":\"" + std::string(text.substr(begin, end - begin)) + "\"}";
    done = end;
  }
  if (!marked.mark.empty()) marked.text += text.substr(done);
  return marked;
}

// Builds a Value from the parser's events. nlohmann's own tree would lose the digits of integers
// beyond 64 bits.
class Builder {
 public:
  using json = nlohmann::json;

  explicit Builder(std::string long_integer_mark) : mark_(std::move(long_integer_mark)) {}

  bool null() { return add({}); }
  bool boolean(bool value) { return add({.kind = Kind::kBool, .boolean = value}); }
  bool number_integer(int64_t value) { return add_integer(std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return add_integer(std::to_string(value)); }
  bool number_float(double value, const std::string& text) {
    const bool is_integer = text.find_first_not_of("-0123456789") == std::string::npos;
    if (is_integer) return add_integer(text);
    return add({.kind = Kind::kReal, .real = value, .text = text});
  }
  bool string(std::string& text) { return add(Value::of_text(std::move(text))); }
  bool binary(json::binary_t&) { return false; }
  bool start_array(size_t) { return open(Kind::kList); }
  bool start_object(size_t) { return open(Kind::kDictionary); }
  bool key(std::string& text) { return add(Value::of_text(std::move(text))); }
  bool end_array() { return close(); }
  bool end_object() { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    error_ = fmt::format("not JSON at byte {}", position);
    return false;
  }

  Result<Value> take() {
    if (!error_.empty()) return invalid_argument(error_);
    return std::move(root_);
  }
  void fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
  }

 private:
  bool add_integer(std::string digits) {
    return add({.kind = Kind::kInteger, .text = std::move(digits)});
  }
  bool add(Value value) {
    if (++num_items_ > kValueItemsMax) {
      fail("more items than are allowed");
      return false;
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else {
      open_.back().items.push_back(std::move(value));
    }
    return true;
  }
  bool open(Kind kind) {
    if (open_.size() == kValueDepthMax) {
      fail("nested too deeply");
      return false;
    }
    open_.push_back({.kind = kind});
    return true;
  }
  bool close() {
    Value value = std::move(open_.back());
    open_.pop_back();
    // The text may write the mark's letters as escapes, but then hardly a number with it.
    const bool is_marked = !mark_.empty() && value.kind == Kind::kDictionary &&
                           value.items.size() == 2 && value.items[0].text == mark_ &&
                           value.items[1].kind == Kind::kText && value.items[1].text.size() > 1 &&
                           digits_end(value.items[1].text, 1) == value.items[1].text.size();
    return is_marked ? add_integer(std::move(value.items[1].text)) : add(std::move(value));
  }

  const std::string mark_;
  Value root_{};
  std::vector<Value> open_{};
  size_t num_items_ = 0;
  std::string error_{};
};

void encode_into(const Value& value, std::string& bytes) {
  switch (value.kind) {
    case Kind::kNull:
      bytes += 'N';
      return;
    case Kind::kBool:
      bytes += value.boolean ? 'T' : 'F';
      return;
    case Kind::kInteger:
      bytes += "i" + value.text + ";";
      return;
    case Kind::kReal:
      bytes += fmt::format("f{:a};", value.real);
      return;
    case Kind::kText:
      bytes += fmt::format("s{}:", value.text.size());
      bytes += value.text;
      return;
    case Kind::kList:
      bytes += fmt::format("l{}:", value.items.size());
      break;
    case Kind::kDictionary:
      bytes += fmt::format("d{}:", value.items.size() / 2);
      break;
    case Kind::kOther:
      bytes += 'N';  // Never made by value_from_json.
      return;
  }
  for (const Value& item : value.items) encode_into(item, bytes);
}

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  std::optional<Value> value() {
    auto value = read(0);
    if (!value || !rest_.empty()) return {};
    return value;
  }

 private:
  std::optional<std::string_view> until(char mark) {
    const size_t end = rest_.find(mark);
    if (end == rest_.npos) return {};
    const std::string_view piece = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return piece;
  }

  std::optional<size_t> count() {
    const auto piece = until(':');
    size_t count = 0;
    if (!piece || piece->empty() || piece->size() > 9) return {};
    const auto [end, error] = std::from_chars(piece->data(), piece->data() + piece->size(), count);
    if (error != std::errc() || end != piece->data() + piece->size()) return {};
    return count;
  }

  // Depth is bounded by kValueDepthMax, so recursion is.
  std::optional<Value> read(size_t depth) {
    if (rest_.empty() || depth > kValueDepthMax || ++num_items_ > kValueItemsMax) return {};
    const char kind = rest_.front();
    rest_.remove_prefix(1);
    switch (kind) {
      case 'N':
        return Value{};
      case 'T':
      case 'F':
        return Value{.kind = Kind::kBool, .boolean = kind == 'T'};
      case 'i':
        return integer();
      case 'f':
        return real();
      case 's':
      case 'b':
        return text(kind);
      case 'l':
      case 't':
      case 'r':
      case 'e':
      case 'z':
      case 'g':
      case 'd':
        return container(kind, depth);
      default:
        return {};
    }
  }

  std::optional<Value> integer() {
    const auto digits = until(';');
    if (!digits) return {};
    std::string_view natural = *digits;
    if (natural.starts_with('-')) natural.remove_prefix(1);
    if (natural.empty() || natural.find_first_not_of("0123456789") != natural.npos) return {};
    if (natural.size() > 1 && natural.front() == '0') return {};
    return Value{.kind = Kind::kInteger, .text = std::string(*digits)};
  }

  std::optional<Value> real() {
    const auto piece = until(';');
    if (!piece || piece->empty() || piece->size() > 40) return {};
    const std::string text(*piece);
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size()) return {};
    return Value{.kind = Kind::kReal, .real = value};
  }

  std::optional<Value> text(char kind) {
    const auto size = count();
    if (!size || *size > rest_.size()) return {};
    Value value = Value::of_text(std::string(rest_.substr(0, *size)));
    if (kind == 'b') value.kind = Kind::kOther;
    rest_.remove_prefix(*size);
    return value;
  }

  std::optional<Value> container(char kind, size_t depth) {
    auto size = count();
    if (!size || *size > rest_.size()) return {};
    Value value{.kind = Kind::kList};
    if (kind == 'd') {
      value.kind = Kind::kDictionary;
      *size *= 2;
    }
    if (kind == 'e' || kind == 'z' || kind == 'g') {
      value.kind = Kind::kOther;
      value.text = kind == 'g' ? "an iterator" : "a set";
    }
    for (size_t i = 0; i < *size; ++i) {
      auto item = read(depth + 1);
      if (!item) return {};
      value.items.push_back(std::move(*item));
    }
    return value;
  }

  std::string_view rest_;
  size_t num_items_ = 0;
};

bool is_close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return false;
  if (a == b) return true;
  return std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(b));
}

// Whether a real number is exactly this integer.
bool is_integer(double real, const std::string& digits) {
  if (!std::isfinite(real) || real != std::trunc(real)) return false;
  return fmt::format("{:.0f}", real == 0 ? 0.0 : real) == digits;
}

using Entries = std::vector<std::pair<std::string_view, const Value*>>;

// By key; nothing where a key is neither text nor an integer.
std::optional<Entries> entries(const Value& dictionary) {
  Entries sorted;
  for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const Value& key = dictionary.items[i];
    if (key.kind != Kind::kText && key.kind != Kind::kInteger) return {};
    sorted.emplace_back(key.text, &dictionary.items[i + 1]);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return sorted;
}

bool is_expected_dictionary(const Value& result, const Value& expected) {
  const auto a = entries(result), b = entries(expected);
  if (!a || !b) return false;
  return std::equal(a->begin(), a->end(), b->begin(), b->end(), [](const auto& x, const auto& y) {
    return x.first == y.first && is_expected(*x.second, *y.second);
  });
}

}  // namespace

Value Value::of_text(std::string text) { return {.kind = Kind::kText, .text = std::move(text)}; }

Value Value::list(std::vector<Value> items) {
  return {.kind = Kind::kList, .items = std::move(items)};
}

const Value* Value::find(std::string_view key) const {
  if (kind != Kind::kDictionary) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == key) return &items[i + 1];
  }
  return nullptr;
}

Result<Value> value_from_json(std::string_view text) {
  const MarkedText marked = with_long_integers_marked(text);
  if (!marked.mark.empty()) text = marked.text;
  Builder builder(marked.mark);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    builder.fail("not JSON");
  }
  return builder.take();
}

std::string encode(const Value& value) {
  std::string bytes;
  encode_into(value, bytes);
  return bytes;
}

std::optional<Value> decode(std::string_view bytes) { return Decoder(bytes).value(); }

bool is_expected(const Value& result, const Value& expected) {
  if (result.kind == Kind::kOther) return false;
  if (result.kind == Kind::kReal && expected.kind == Kind::kInteger) {
    return is_integer(result.real, expected.text);
  }
  if (result.kind == Kind::kInteger && expected.kind == Kind::kReal) {
    return is_integer(expected.real, result.text);
  }
  if (result.kind != expected.kind) return false;
  switch (result.kind) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return result.boolean == expected.boolean;
    case Kind::kReal:
      return is_close(result.real, expected.real);
    case Kind::kInteger:
    case Kind::kText:
      return result.text == expected.text;
    case Kind::kList:
      return std::equal(result.items.begin(), result.items.end(), expected.items.begin(),
                        expected.items.end(), is_expected);
    case Kind::kDictionary:
      return is_expected_dictionary(result, expected);
    case Kind::kOther:
      return false;
  }
  return false;
}

}  // namespace troupe::actors
