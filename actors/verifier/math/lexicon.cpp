#include "actors/verifier/math/lexicon.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace troupe::actors {
namespace {

using Kind = TokenKind;

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::pair<std::string_view, FunctionId> kFunctions[] = {
    {"sin", kSin},        {"cos", kCos},       {"tan", kTan},        {"cot", kCot},
    {"sec", kSec},        {"csc", kCsc},       {"cosec", kCsc},      {"tg", kTan},
    {"ctg", kCot},        {"arcsin", kArcsin}, {"arccos", kArccos},  {"arctan", kArctan},
    {"arccot", kArccot},  {"arcsec", kArcsec}, {"arccsc", kArccsc},  {"asin", kArcsin},
    {"acos", kArccos},    {"atan", kArctan},   {"arctg", kArctan},   {"sinh", kSinh},
    {"cosh", kCosh},      {"tanh", kTanh},     {"arcsinh", kArsinh}, {"arccosh", kArcosh},
    {"arctanh", kArtanh}, {"asinh", kArsinh},  {"acosh", kArcosh},   {"atanh", kArtanh},
    {"arsinh", kArsinh},  {"arcosh", kArcosh}, {"artanh", kArtanh},  {"ln", kLn},
    {"log", kLog},        {"lg", kLog},        {"exp", kExp},        {"sqrt", kSqrt},
    {"abs", kAbs},        {"floor", kFloor},   {"ceil", kCeiling},   {"Re", kRe},
    {"Im", kIm}};

constexpr std::string_view kUprightCommands[] = {
    "text",   "textbf",     "textit", "textrm",     "mathrm",       "mathbf",
    "mathit", "mathsf",     "mbox",   "hbox",       "operatorname", "textsf",
    "rm",     "boldsymbol", "bm",     "textnormal", "mathop",       "emph"};

constexpr std::string_view kDroppedCommands[] = {
    "displaystyle", "textstyle", "big",         "Big",      "bigl",  "bigr",
    "Bigl",         "Bigr",      "bigg",        "Bigg",     "quad",  "qquad",
    "limits",       "nolimits",  "thinspace",   "medspace", "angle", "thickspace",
    "enspace",      "space",     "scriptstyle", "large",    "Large", "small",
    "normalsize",   "therefore", "biggl",       "biggr",    "Biggl", "Biggr"};

constexpr std::string_view kLetterCommands[] = {
    "alpha", "beta",  "gamma",    "delta",  "epsilon", "varepsilon", "zeta",  "eta",
    "theta", "iota",  "kappa",    "lambda", "mu",      "nu",         "xi",    "rho",
    "sigma", "tau",   "upsilon",  "phi",    "varphi",  "chi",        "psi",   "omega",
    "Gamma", "Delta", "Theta",    "Lambda", "Xi",      "Pi",         "Sigma", "Phi",
    "Psi",   "Omega", "vartheta", "ell",    "hbar"};

struct CommandEntry {
  std::string_view name;
  Kind kind;
  char detail;
  std::string_view text;
};

constexpr CommandEntry kCommands[] = {
    {"frac", Kind::kFraction, 0, "frac"},
    {"dfrac", Kind::kFraction, 0, "frac"},
    {"tfrac", Kind::kFraction, 0, "frac"},
    {"cfrac", Kind::kFraction, 0, "frac"},
    {"sqrt", Kind::kRoot, 0, {}},
    {"over", Kind::kOver, 0, {}},
    {"sum", Kind::kSeries, 'S', {}},
    {"prod", Kind::kSeries, 'P', {}},
    {"binom", Kind::kBinomial, 0, {}},
    {"dbinom", Kind::kBinomial, 0, {}},
    {"tbinom", Kind::kBinomial, 0, {}},
    {"overline", Kind::kWrap, 0, "overline"},
    {"bar", Kind::kWrap, 0, "overline"},
    {"vec", Kind::kWrap, 0, "vec"},
    {"overrightarrow", Kind::kWrap, 0, "vec"},
    {"hat", Kind::kWrap, 0, "hat"},
    {"widehat", Kind::kWrap, 0, "hat"},
    {"tilde", Kind::kWrap, 0, "tilde"},
    {"mathbb", Kind::kWrap, 0, "mathbb"},
    {"mathcal", Kind::kWrap, 0, "mathcal"},
    {"pi", Kind::kConstant, 0, "pi"},
    {"infty", Kind::kConstant, 0, "infty"},
    {"inf", Kind::kConstant, 0, "infty"},
    {"emptyset", Kind::kEmptySet, 0, {}},
    {"varnothing", Kind::kEmptySet, 0, {}},
    {"cdot", Kind::kTimes, 0, {}},
    {"times", Kind::kTimes, 'x', {}},
    {"ast", Kind::kTimes, 0, {}},
    {"div", Kind::kDivide, 0, {}},
    {"pm", Kind::kPlusMinus, 0, {}},
    {"mp", Kind::kMinusPlus, 0, {}},
    {"circ", Kind::kDegree, 0, {}},
    {"degree", Kind::kDegree, 0, {}},
    {"prime", Kind::kPrime, 0, {}},
    {"lbrace", Kind::kOpen, 'S', {}},
    {"rbrace", Kind::kClose, 'S', {}},
    {"langle", Kind::kOpen, '<', {}},
    {"rangle", Kind::kClose, '<', {}},
    {"lfloor", Kind::kOpen, 'f', {}},
    {"rfloor", Kind::kClose, 'f', {}},
    {"lceil", Kind::kOpen, 'c', {}},
    {"rceil", Kind::kClose, 'c', {}},
    {"lbrack", Kind::kOpen, '[', {}},
    {"rbrack", Kind::kClose, '[', {}},
    {"lparen", Kind::kOpen, '(', {}},
    {"rparen", Kind::kClose, '(', {}},
    {"vert", Kind::kBar, 0, {}},
    {"mid", Kind::kBar, 0, {}},
    {"lvert", Kind::kBar, 'o', {}},
    {"rvert", Kind::kBar, 'c', {}},
    {"le", Kind::kRelation, 'l', {}},
    {"leq", Kind::kRelation, 'l', {}},
    {"leqslant", Kind::kRelation, 'l', {}},
    {"ge", Kind::kRelation, 'g', {}},
    {"geq", Kind::kRelation, 'g', {}},
    {"geqslant", Kind::kRelation, 'g', {}},
    {"lt", Kind::kRelation, '<', {}},
    {"gt", Kind::kRelation, '>', {}},
    {"ne", Kind::kRelation, 'n', {}},
    {"neq", Kind::kRelation, 'n', {}},
    {"in", Kind::kRelation, 'i', {}},
    {"approx", Kind::kRelation, '~', {}},
    {"sim", Kind::kRelation, '~', "sim"},
    {"simeq", Kind::kRelation, '~', {}},
    {"cong", Kind::kRelation, '~', "cong"},
    {"equiv", Kind::kRelation, '~', "equiv"},
    {"cup", Kind::kUnion, 0, {}},
    {"cap", Kind::kIntersection, 0, {}},
    {"setminus", Kind::kSetMinus, 0, {}},
    {"backslash", Kind::kSetMinus, 0, {}},
    {"lor", Kind::kOr, 0, {}},
    {"vee", Kind::kOr, 0, {}},
    {"land", Kind::kAnd, 0, {}},
    {"colon", Kind::kColon, 0, {}},
    {"ldots", Kind::kUnknown, 0, "\\ldots"},
    {"dots", Kind::kUnknown, 0, "\\ldots"},
    {"cdots", Kind::kUnknown, 0, "\\ldots"},
    {"dotsc", Kind::kUnknown, 0, "\\ldots"},
    {"dotsb", Kind::kUnknown, 0, "\\ldots"},
    {"imath", Kind::kLetter, 0, "i"},
    {"wedge", Kind::kAnd, 0, {}},
};

std::unordered_map<std::string_view, Command> command_table() {
  std::unordered_map<std::string_view, Command> table;
  for (const auto& [name, function] : kFunctions) {
    table[name] = {CommandAction::kToken, Kind::kFunction, function, {}};
  }
  for (std::string_view name : kUprightCommands) table[name] = {.action = CommandAction::kUpright};
  for (std::string_view name : kDroppedCommands) table[name] = {.action = CommandAction::kDropped};
  for (std::string_view name : kLetterCommands) {
    table[name] = {CommandAction::kToken, Kind::kLetter, 0, name};
  }
  for (const CommandEntry& entry : kCommands) {
    table[entry.name] = {CommandAction::kToken, entry.kind, entry.detail, entry.text};
  }
  for (std::string_view name : {"left", "right"}) table[name] = {.action = CommandAction::kSided};
  for (std::string_view name : {"begin", "end"}) table[name] = {.action = CommandAction::kMatrix};
  for (std::string_view name : {"boxed", "fbox", "underline"})
    table[name] = {.action = CommandAction::kBox};
  table["not"] = {.action = CommandAction::kNot};
  return table;
}

// The ASCII for a character that only looks different, with its length in bytes; {"", 0} if none.
std::pair<std::string, size_t> ascii_for(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kLooks[] = {
      {"\xE2\x88\x92", "-"},
      {"\xE2\x80\x93", "-"},
      {"\xC2\xA0", " "},
      {"\xE2\x80\x89", " "},
      {"\xE2\x80\xAF", " "},
      {"\xE3\x80\x80", " "},
      {"\xC2\xB0", "^\\circ "},
      {"\xC2\xA2", "\\text{ cents}"},
      {"\xC3\x97", "\\times "},
      {"\xC2\xB7", "\\cdot "},
      {"\xE2\x8B\x85", "\\cdot "},
      {"\xC3\xB7", "\\div "},
      {"\xC2\xB1", "\\pm "},
      {"\xE2\x88\x93", "\\mp "},
      {"\xE2\x89\xA0", "\\ne "},
      {"\xE2\x89\xA4", "\\le "},
      {"\xE2\x89\xA5", "\\ge "},
      {"\xE2\x89\x88", "\\approx "},
      {"\xE2\x88\x88", "\\in "},
      {"\xE2\x88\xAA", "\\cup "},
      {"\xE2\x88\xA9", "\\cap "},
      {"\xE2\x88\x85", "\\emptyset "},
      {"\xE2\x88\x9E", "\\infty "},
      {"\xE2\x88\x9A", "\\sqrt "},
      {"\xCF\x80", "\\pi "},
      {"\xCE\xB1", "\\alpha "},
      {"\xCE\xB2", "\\beta "},
      {"\xCE\xB8", "\\theta "},
      {"\xCE\xB3", "\\gamma "},
      {"\xCE\xB4", "\\delta "},
      {"\xCE\xB5", "\\epsilon "},
      {"\xCE\xBC", "\\mu "},
      {"\xC2\xB5", "\\mu "},
      {"\xCF\x81", "\\rho "},
      {"\xCF\x83", "\\sigma "},
      {"\xCF\x84", "\\tau "},
      {"\xCF\x86", "\\phi "},
      {"\xCF\x89", "\\omega "},
      {"\xCE\x94", "\\Delta "},
      {"\xCE\xA9", "\\Omega "},
      {"\xE2\x80\xA6", "\\ldots "},
      {"\xE2\x84\x9D", "\\mathbb{R}"},
      {"\xE2\x82\x82", "_2 "},
      {"\xCE\xBB", "\\lambda "},
      {"\xC2\xB2", "^2 "},
      {"\xC2\xB3", "^3 "},
      {"\xC2\xB9", "^1 "},
      {"\xC2\xBC", "\\frac{1}{4}"},
      {"\xC2\xBD", "\\frac{1}{2}"},
      {"\xC2\xBE", "\\frac{3}{4}"},
      {"\xE2\x82\xAC", "\\euro "},
      {"\xC2\xA3", "\\pounds "}};
  for (const auto& [bytes, ascii] : kLooks) {
    if (text.starts_with(bytes)) return {std::string(ascii), bytes.size()};
  }
  if (text.size() >= 3 && text[0] == '\xEF') {  // U+FF01 .. U+FF5E are ASCII in full width.
    const unsigned code = 0xF000u | (static_cast<unsigned char>(text[1]) & 0x3Fu) << 6 |
                          (static_cast<unsigned char>(text[2]) & 0x3Fu);
    if (code >= 0xFF01 && code <= 0xFF5E) {
      return {std::string(1, static_cast<char>(code - 0xFEE0)), 3};
    }
  }
  return {"", 0};
}

}  // namespace

std::optional<Command> find_command(std::string_view name) {
  static const auto table = command_table();
  const auto found = table.find(name);
  if (found == table.end()) return {};
  return found->second;
}

std::optional<FunctionId> find_function(std::string_view name) {
  for (const auto& [known, function] : kFunctions) {
    if (known == name) return function;
  }
  return {};
}

FunctionPrefix function_prefix(std::string_view letters) {
  FunctionPrefix longest;
  for (const auto& [name, function] : kFunctions) {
    if (name.size() > longest.length && letters.starts_with(name)) {
      longest = {name.size(), function};
    }
  }
  if (longest.length < 2 && letters.starts_with("pi")) return {2, {}};
  return longest;
}

bool is_short_word(std::string_view word) {
  static constexpr std::array<std::string_view, 57> kWords = {
      "no",  "yes", "odd", "all", "one", "two", "six", "ten", "not", "is",  "the", "for",
      "if",  "any", "day", "red", "cat", "dog", "man", "men", "boy", "sun", "mon", "tue",
      "wed", "thu", "fri", "sat", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug",
      "sep", "oct", "nov", "dec", "am",  "pm",  "dne", "on",  "of",  "to",  "it",  "be",
      "by",  "at",  "so",  "but", "old", "sq",  "usd", "hrs", "lbs"};
  return contains(kWords, word);
}

bool is_matrix_environment(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNames = {"pmatrix", "bmatrix",     "matrix",
                                                             "array",   "smallmatrix", "Bmatrix"};
  return contains(kNames, name);
}

std::string with_ascii(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      const auto [ascii, length] = ascii_for(text.substr(i));
      if (length > 0) {
        out += ascii;
        i += length;
        continue;
      }
    }
    out += byte < 0x20 || byte == 0x7F ? ' ' : static_cast<char>(byte);
    ++i;
  }
  return out;
}

}  // namespace troupe::actors
