#include "actors/verifier/math/lexicon.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "actors/verifier/math/characters.h"

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

constexpr std::pair<std::string_view, FunctionId> kListFunctions[] = {
    {"gcd", kGcd},          {"GCD", kGcd},
    {"hcf", kGcd},          {"HCF", kGcd},
    {"lcm", kLcm},          {"LCM", kLcm},
    {"max", kMaximum},      {"min", kMinimum},
    {"binom", kBinomialOf}, {"binomial", kBinomialOf},
    {"comb", kBinomialOf},  {"nCr", kBinomialOf}};

// What else is only typography, with its argument.
constexpr std::string_view kSkippedCommands[] = {
    "hspace",    "vspace",   "mspace", "phantom", "hphantom", "vphantom", "color",
    "textcolor", "colorbox", "label",  "tag",     "hskip",    "kern",     "mkern"};

constexpr std::string_view kUprightCommands[] = {
    "text",   "textbf",     "textit",     "textrm",       "mathrm", "mathbf", "mathit",
    "mathsf", "mbox",       "hbox",       "operatorname", "textsf", "rm",     "boldsymbol",
    "bm",     "textnormal", "mathop",     "emph",         "texttt", "textsc", "textup",
    "textmd", "mathtt",     "mathnormal", "textsl"};

constexpr std::string_view kDroppedCommands[] = {"bf",
                                                 "it",
                                                 "tt",
                                                 "sf",
                                                 "sc",
                                                 "sl",
                                                 "em",
                                                 "bfseries",
                                                 "itshape",
                                                 "rmfamily",
                                                 "ttfamily",
                                                 "upshape",
                                                 "mathstrut",
                                                 "strut",
                                                 "relax",
                                                 "noindent",
                                                 "centering",
                                                 "par",
                                                 "newline",
                                                 "nobreak",
                                                 "allowbreak",
                                                 "hfill",
                                                 "hfil",
                                                 "LARGE",
                                                 "huge",
                                                 "Huge",
                                                 "tiny",
                                                 "footnotesize",
                                                 "scriptsize",
                                                 "scriptscriptstyle",
                                                 "measuredangle",
                                                 "negthinspace",
                                                 "cr",
                                                 "nonumber",
                                                 "notag",
                                                 "middle",
                                                 "protect",
                                                 "hline",
                                                 "displaylimits",
                                                 "displaystyle",
                                                 "textstyle",
                                                 "big",
                                                 "Big",
                                                 "bigl",
                                                 "bigr",
                                                 "Bigl",
                                                 "Bigr",
                                                 "bigg",
                                                 "Bigg",
                                                 "quad",
                                                 "qquad",
                                                 "limits",
                                                 "nolimits",
                                                 "thinspace",
                                                 "medspace",
                                                 "angle",
                                                 "thickspace",
                                                 "enspace",
                                                 "space",
                                                 "scriptstyle",
                                                 "large",
                                                 "Large",
                                                 "small",
                                                 "normalsize",
                                                 "therefore",
                                                 "biggl",
                                                 "biggr",
                                                 "Biggl",
                                                 "Biggr"};

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
    {"thickapprox", Kind::kRelation, '~', {}},
    {"approxeq", Kind::kRelation, '~', {}},
    {"doteq", Kind::kRelation, '~', {}},
    {"pmod", Kind::kModulo, 0, {}},
    {"bmod", Kind::kModulo, 0, {}},
    {"mod", Kind::kModulo, 0, {}},
    {"pod", Kind::kModulo, 0, {}},
    {"choose", Kind::kChoose, 0, {}},
    {"Rightarrow", Kind::kArrow, 0, {}},
    {"implies", Kind::kArrow, 0, {}},
    {"Longrightarrow", Kind::kArrow, 0, {}},
    {"rightarrow", Kind::kArrow, 0, {}},
    {"longrightarrow", Kind::kArrow, 0, {}},
    {"to", Kind::kArrow, 0, {}},
    {"int", Kind::kSeries, 'I', {}},
    {"geqq", Kind::kRelation, 'g', {}},
    {"leqq", Kind::kRelation, 'l', {}},
    {"coloneqq", Kind::kRelation, '=', {}},
    {"AA", Kind::kWord, 0, "angstrom"},
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
  for (std::string_view name : {"boxed", "fbox", "underline", "framebox", "ensuremath", "mathord",
                                "mathbin", "mathrel", "mathopen", "mathclose", "smash"}) {
    table[name] = {.action = CommandAction::kBox};
  }
  for (std::string_view name : kSkippedCommands) table[name] = {.action = CommandAction::kSkipped};
  table["circled"] = {.action = CommandAction::kCircled};
  table["not"] = {.action = CommandAction::kNot};
  return table;
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

std::optional<FunctionId> find_list_function(std::string_view name) {
  for (const auto& [known, function] : kListFunctions) {
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
  static constexpr std::array<std::string_view, 58> kWords = {
      "no",  "yes", "odd", "all", "one", "two", "six", "ten", "not", "is",  "the", "for",
      "if",  "any", "day", "red", "cat", "dog", "man", "men", "boy", "sun", "mon", "tue",
      "wed", "thu", "fri", "sat", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug",
      "sep", "oct", "nov", "dec", "am",  "pm",  "dne", "on",  "of",  "to",  "it",  "be",
      "by",  "at",  "so",  "but", "old", "sq",  "per", "usd", "hrs", "lbs"};
  return contains(kWords, word);
}

bool is_matrix_environment(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNames = {"pmatrix", "bmatrix",     "matrix",
                                                             "array",   "smallmatrix", "Bmatrix"};
  return contains(kNames, name);
}

bool is_lines_environment(std::string_view name) {
  static constexpr std::array<std::string_view, 17> kNames = {
      "aligned",   "align",       "align*",    "gathered", "gather",    "gather*",
      "split",     "equation",    "equation*", "eqnarray", "eqnarray*", "multline",
      "multline*", "displaymath", "math",      "cases",    "flalign*"};
  return contains(kNames, name);
}

bool begins_with_bracket(std::string_view text) {
  for (std::string_view size : {"\\left", "\\big", "\\Big", "\\bigl", "\\Bigl"}) {
    const bool is_sized =
        text.starts_with(size) && text.size() > size.size() && !is_letter(text[size.size()]);
    if (!is_sized) continue;
    text = trimmed(text.substr(size.size()));
    break;
  }
  return text.starts_with('(') || text.starts_with('{') || text.starts_with("\\{") ||
         text.starts_with('[') || text.starts_with("\\lbrace");
}

}  // namespace troupe::actors
