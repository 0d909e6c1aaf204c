#include "model/chat_template/text_methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/chat_template/operators.h"
#include "model/chat_template/printing.h"

namespace troupe::model::chat_template {
namespace {

constexpr std::array<std::string_view, 47> kMethods = {
    "capitalize",   "casefold",    "center",    "count",      "encode",       "endswith",
    "expandtabs",   "find",        "format",    "format_map", "index",        "isalnum",
    "isalpha",      "isascii",     "isdecimal", "isdigit",    "isidentifier", "islower",
    "isnumeric",    "isprintable", "isspace",   "istitle",    "isupper",      "join",
    "ljust",        "lower",       "lstrip",    "maketrans",  "partition",    "removeprefix",
    "removesuffix", "replace",     "rfind",     "rindex",     "rjust",        "rpartition",
    "rsplit",       "rstrip",      "split",     "splitlines", "startswith",   "strip",
    "swapcase",     "title",       "translate", "upper",      "zfill"};

class Caller {
 public:
  Caller(Run& run, const Text& text, const std::string& name, const Arguments& arguments)
      : run_(run), text_(text), name_(name), arguments_(arguments), line_(arguments.line) {}

  Value call() {
    if (name_ == "strip" || name_ == "lstrip" || name_ == "rstrip") return strip();
    if (name_ == "startswith" || name_ == "endswith") return begins_or_ends();
    if (name_ == "split" || name_ == "rsplit") return split();
    if (name_ == "replace") return replace();
    if (name_ == "join") return join();
    if (name_ == "find" || name_ == "rfind" || name_ == "index" || name_ == "rindex" ||
        name_ == "count") {
      return find();
    }
    if (name_ == "removeprefix" || name_ == "removesuffix") return remove();
    if (name_ == "format") return format();
    if (name_ == "splitlines") {
      if (!takes({})) return {};
      return list_of(lines_of(text_));
    }
    for (const auto& [name, to] : {std::pair("upper", Case::kUpper),
                                   {"lower", Case::kLower},
                                   {"title", Case::kTitle},
                                   {"capitalize", Case::kCapitalised}}) {
      if (name_ == name) return takes({}) ? Value::text(in_case(run_, line_, text_, to)) : Value();
    }
    if (name_ == "isspace" || name_ == "isdigit" || name_ == "isalpha") return is_all();
    return run_.fail(line_, fmt::format("the method '{}' of a text is not known", name_));
  }

 private:
  bool takes(std::initializer_list<std::string_view> parameters) {
    return assign(run_, arguments_, fmt::format("'{}'", name_), parameters, values_);
  }

  // The argument as a text; null, with an error, where it is none.
  const Text* text_at(size_t index) {
    const Value* value = values_[index];
    const Text* text = value == nullptr ? nullptr : value->as_text();
    if (text == nullptr) {
      run_.fail(line_, fmt::format("'{}' needs a text, not {}", name_,
                                   value == nullptr ? "nothing" : value->kind()));
    } else if (!run_.can_search(line_, text_.size(), text->size())) {
      return nullptr;
    }
    return text;
  }

  // The argument as a number; `otherwise` where it is not given.
  int64_t number_at(size_t index, int64_t otherwise) {
    const Value* value = values_[index];
    if (value == nullptr) return otherwise;
    if (!value->is_integer()) run_.fail(line_, fmt::format("'{}' needs a whole number", name_));
    return value->to_integer();
  }

  Value list_of(const std::vector<Text>& texts) {
    if (!run_.can_hold_items(line_, texts.size())) return {};
    std::vector<Value> items;
    for (const Text& text : texts) items.push_back(Value::text(text));
    return run_.list(line_, std::move(items));
  }

  Value strip() {
    if (!takes({"chars"})) return {};
    const std::string* characters = nullptr;
    if (values_[0] != nullptr && !values_[0]->is_none()) {
      const Text* text = text_at(0);
      if (text == nullptr) return {};
      characters = &text->bytes();
    }
    const std::string& bytes = text_.bytes();
    const size_t begin = name_ == "rstrip" ? 0 : leading_bytes(bytes, characters);
    const size_t end =
        begin == bytes.size() || name_ == "lstrip" ? 0 : trailing_bytes(bytes, characters);
    return Value::text(text_.part(begin, bytes.size() - begin - end));
  }

  Value begins_or_ends() {
    if (!takes({"prefix"})) return {};
    std::vector<Value> affixes;
    const List* tuple = values_[0] == nullptr ? nullptr : values_[0]->as_list();
    if (tuple != nullptr && tuple->flavour == List::Flavour::kTuple) {
      affixes = tuple->items;
    } else {
      if (text_at(0) == nullptr) return {};
      affixes.push_back(*values_[0]);
    }
    for (const Value& affix : affixes) {
      const Text* text = affix.as_text();
      if (text == nullptr) return run_.fail(line_, fmt::format("'{}' needs texts", name_));
      const bool is_there = name_ == "startswith" ? text_.bytes().starts_with(text->bytes())
                                                  : text_.bytes().ends_with(text->bytes());
      if (is_there) return Value::boolean(true);
    }
    return Value::boolean(false);
  }

  Value split() {
    if (!takes({"sep", "maxsplit"})) return {};
    const int64_t limit = number_at(1, -1);
    const size_t max = limit < 0 ? text_.size() + 1 : static_cast<size_t>(limit);
    if (run_.has_failed()) return {};
    if (values_[0] == nullptr || values_[0]->is_none()) {
      return list_of(name_ == "split" ? words(max) : words_from_end(max));
    }
    const Text* separator = text_at(0);
    if (separator == nullptr) return {};
    if (separator->empty()) return run_.fail(line_, "'split' at an empty text");
    return list_of(name_ == "split" ? pieces(separator->bytes(), max)
                                    : pieces_from_end(separator->bytes(), max));
  }

  std::vector<Text> pieces(const std::string& separator, size_t max) const {
    std::vector<Text> all;
    const std::string& bytes = text_.bytes();
    size_t begin = 0;
    while (all.size() < max) {
      const size_t end = bytes.find(separator, begin);
      if (end == std::string::npos) break;
      all.push_back(text_.part(begin, end - begin));
      begin = end + separator.size();
    }
    all.push_back(text_.part(begin, bytes.size() - begin));
    return all;
  }

  std::vector<Text> pieces_from_end(const std::string& separator, size_t max) const {
    std::vector<Text> all;
    const std::string& bytes = text_.bytes();
    size_t end = bytes.size();
    while (all.size() < max && end >= separator.size()) {
      const size_t at = bytes.rfind(separator, end - separator.size());
      if (at == std::string::npos) break;
      all.push_back(text_.part(at + separator.size(), end - at - separator.size()));
      end = at;
    }
    all.push_back(text_.part(0, end));
    std::reverse(all.begin(), all.end());
    return all;
  }

  // Runs of other things than white space; what is left after `max` of them is the last one.
  std::vector<Text> words(size_t max) const {
    std::vector<Text> all;
    const std::string_view bytes = text_.bytes();
    size_t at = leading_bytes(bytes);
    while (at < bytes.size()) {
      if (all.size() == max) {
        all.push_back(text_.part(at, bytes.size() - at));
        break;
      }
      size_t end = at;
      size_t size = 0;
      while (end < bytes.size() && !is_white_space(first_point(bytes.substr(end), size))) {
        end += size;
      }
      all.push_back(text_.part(at, end - at));
      at = end + leading_bytes(bytes.substr(end));
    }
    return all;
  }

  std::vector<Text> words_from_end(size_t max) const {
    std::vector<Text> all = words(text_.size() + 1);
    if (all.size() <= max) return all;
    // The first ones stay together with what is between them.
    const std::string_view bytes = text_.bytes();
    size_t end = bytes.size();
    std::vector<Text> last(all.end() - static_cast<ptrdiff_t>(max), all.end());
    for (size_t i = last.size(); i > 0; --i) {
      end -= trailing_bytes(bytes.substr(0, end));
      end -= last[i - 1].size();
    }
    end -= trailing_bytes(bytes.substr(0, end));
    last.insert(last.begin(), text_.part(0, end));
    return last;
  }

  Value replace() {
    if (!takes({"old", "new", "count"})) return {};
    const Text* from = text_at(0);
    const Text* to = text_at(1);
    const int64_t max = number_at(2, -1);
    if (from == nullptr || to == nullptr || run_.has_failed()) return {};
    if (text_.is_markup && needs_escapes(*to)) {
      return run_.fail(line_, "'replace' of what the filter 'safe' gave would escape the new text");
    }
    return replaced(run_, line_, text_, *from, *to, max);
  }

  Value join() {
    if (!takes({"iterable"})) return {};
    std::vector<Value> items;
    if (values_[0] == nullptr) return run_.fail(line_, "'join' has nothing to join");
    if (text_.is_markup) return run_.fail(line_, "'join' of what 'safe' gave is not known");
    if (!items_of(run_, line_, *values_[0], items)) return {};
    Text made;
    for (const Value& item : items) {
      const Text* text = item.as_text();
      if (text == nullptr)
        return run_.fail(line_, fmt::format("'join' needs texts, not {}", item.kind()));
      if (&item != &items.front()) made.append(text_);
      made.append(*text);
      if (!run_.can_hold(line_, made.size() / 32)) return {};
    }
    if (!run_.can_hold(line_, made.size())) return {};
    return Value::text(std::move(made));
  }

  Value find() {
    if (!takes({"sub"})) return {};
    const Text* piece = text_at(0);
    if (piece == nullptr) return {};
    const std::string& bytes = text_.bytes();
    if (name_ == "count") {
      if (piece->empty()) return Value::integer(static_cast<int64_t>(num_characters(bytes)) + 1);
      int64_t count = 0;
      for (size_t at = bytes.find(piece->bytes()); at != std::string::npos;
           at = bytes.find(piece->bytes(), at + piece->size())) {
        ++count;
      }
      return Value::integer(count);
    }
    const size_t at =
        name_.starts_with('r') ? bytes.rfind(piece->bytes()) : bytes.find(piece->bytes());
    if (at != std::string::npos) {
      return Value::integer(
          static_cast<int64_t>(num_characters(std::string_view(bytes).substr(0, at))));
    }
    if (name_.ends_with("find")) return Value::integer(-1);
    return run_.fail(line_, fmt::format("'{}': the text is not in the other", name_));
  }

  Value remove() {
    if (!takes({"affix"})) return {};
    const Text* affix = text_at(0);
    if (affix == nullptr) return {};
    const bool is_prefix = name_ == "removeprefix";
    const bool is_there = is_prefix ? text_.bytes().starts_with(affix->bytes())
                                    : text_.bytes().ends_with(affix->bytes());
    if (!is_there) return Value::text(text_);
    return Value::text(text_.part(is_prefix ? affix->size() : 0, text_.size() - affix->size()));
  }

  // {} and {name}, without anything about how.
  Value format() {
    Text out;
    size_t num_used = 0;
    const std::string& bytes = text_.bytes();
    if (text_.is_markup) return run_.fail(line_, "'format' of what 'safe' gave is not known");
    for (size_t at = 0; at < bytes.size(); ++at) {
      const bool is_double = at + 1 < bytes.size() && bytes[at + 1] == bytes[at];
      if ((bytes[at] == '{' || bytes[at] == '}') && is_double) {
        out.append(text_, at++, 1);
        continue;
      }
      if (bytes[at] != '{') {
        out.append(text_, at, 1);
        continue;
      }
      const size_t end = bytes.find('}', at);
      if (end == std::string::npos) return run_.fail(line_, "a format's '{' does not end");
      const Value* value = field(bytes.substr(at + 1, end - at - 1), num_used);
      if (value == nullptr) return {};
      out.append(printed(run_, line_, *value));
      if (!run_.can_hold(line_, out.size())) return {};
      at = end;
    }
    return Value::text(std::move(out));
  }

  const Value* field(const std::string& name, size_t& num_used) {
    if (name.empty() && num_used < arguments_.positional.size()) {
      return &arguments_.positional[num_used++];
    }
    if (name.size() == 1 && name[0] >= '0' && name[0] <= '9' &&
        static_cast<size_t>(name[0] - '0') < arguments_.positional.size()) {
      return &arguments_.positional[static_cast<size_t>(name[0] - '0')];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return &value;
    }
    run_.fail(line_, "a format with more than '{}' and '{name}' is not known");
    return nullptr;
  }

  Value is_all() {
    if (!takes({})) return {};
    const std::string_view bytes = text_.bytes();
    size_t size = 0;
    for (size_t at = 0; at < bytes.size(); at += size) {
      const int32_t point = first_point(bytes.substr(at), size);
      if (name_ == "isdigit" && point >= 128) {
        return run_.fail(line_, "'isdigit' is known for ASCII only");
      }
      const bool is_it = name_ == "isspace"   ? is_white_space(point)
                         : name_ == "isalpha" ? is_letter(point)
                                              : point >= '0' && point <= '9';
      if (!is_it) return Value::boolean(false);
    }
    return Value::boolean(!bytes.empty());
  }

  Run& run_;
  const Text& text_;
  const std::string& name_;
  const Arguments& arguments_;
  const int line_;
  std::vector<const Value*> values_{};
};

}  // namespace

bool is_text_method(std::string_view name) {
  return std::find(kMethods.begin(), kMethods.end(), name) != kMethods.end();
}

Value call_text_method(Run& run, const Text& text, const std::string& name,
                       const Arguments& arguments) {
  return Caller(run, text, name, arguments).call();
}

Text in_case(Run& run, int line, const Text& text, Case to) {
  Text made;
  made.is_markup = text.is_markup;
  if (!run.can_hold(line, text.size())) return made;
  const std::string_view bytes = text.bytes();
  size_t size = 0;
  bool is_known = true;
  bool is_first = true;  // Of the word, or of the text.
  for (size_t at = 0; at < bytes.size(); at += size) {
    const int32_t point = first_point(bytes.substr(at), size);
    const bool is_raised = to == Case::kUpper || (to != Case::kLower && is_first);
    if (point >= 128 && is_raised && to != Case::kUpper && to_upper(point, is_known) != point &&
        (point >= 0x1C4 && point <= 0x1F3)) {
      is_known = false;  // Letters such as dž have a third case at the beginning of a word.
    }
    const int32_t other = point < 0   ? point
                          : is_raised ? to_upper(point, is_known)
                                      : to_lower(point, is_known);
    if (other == point) {
      made.append(text, at, size);
    } else {
      made.append_as(utf8(other), text, at);
    }
    is_first = to == Case::kTitle && !is_letter(point);
  }
  if (!is_known) run.fail(line, "a letter whose other case is not one letter");
  return made;
}

Value replaced(Run& run, int line, const Text& text, const Text& from, const Text& to,
               int64_t max) {
  if (from.empty()) return run.fail(line, "'replace' of an empty text is not known");
  Text made;
  made.is_markup = text.is_markup;
  if (!run.can_search(line, text.size(), from.size())) return {};
  const std::string& bytes = text.bytes();
  size_t begin = 0;
  for (int64_t count = 0; max < 0 || count < max; ++count) {
    const size_t at = bytes.find(from.bytes(), begin);
    if (at == std::string::npos) break;
    made.append(text, begin, at - begin);
    made.append(to);
    begin = at + from.size();
    if (made.size() > kTextBytesMax || !run.spend(line, 1 + to.size() / 32)) break;
  }
  made.append(text, begin, bytes.size() - begin);
  if (!run.can_hold(line, made.size())) return {};
  return Value::text(std::move(made));
}

std::vector<Text> lines_of(const Text& text) {
  std::vector<Text> lines;
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  size_t size = 0;
  for (size_t at = 0; at < bytes.size(); at += size) {
    if (!is_line_end(first_point(bytes.substr(at), size))) continue;
    lines.push_back(text.part(begin, at - begin));
    if (bytes[at] == '\r' && at + 1 < bytes.size() && bytes[at + 1] == '\n') size = 2;
    begin = at + size;
  }
  if (begin < bytes.size()) lines.push_back(text.part(begin, bytes.size() - begin));
  return lines;
}

}  // namespace troupe::model::chat_template
