#include "model/chat_template/chat_template.h"

#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace troupe::model {
namespace {

using Json = nlohmann::ordered_json;

Json said(const std::string& content) {
  return {{"messages", {{{"role", "user"}, {"content", content}}}}, {"bos_token", "<s>"}};
}

std::string refusal(const std::string& source, const Json& variables = said("x")) {
  const auto parsed = ChatTemplate::parse(source);
  if (!parsed) return parsed.error().message;
  const auto text = parsed->render(variables);
  CAPTURE(source);
  REQUIRE_FALSE(text);
  CHECK(text.error().code == ErrorCode::kInvalidArgument);
  return text.error().message;
}

chat_template::Text rendered(const std::string& source, const Json& variables) {
  const auto parsed = ChatTemplate::parse(source);
  if (!parsed) FAIL(parsed.error().message);
  auto text = parsed->render(variables);
  if (!text) FAIL(text.error().message);
  return *text;
}

// The text with what somebody else wrote in braces.
std::string with_writers(const std::string& source, const Json& variables) {
  const auto text = rendered(source, variables);
  std::string shown;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool was_foreign = at > 0 && text.is_foreign(at - 1);
    if (text.is_foreign(at) && !was_foreign) shown += '{';
    if (!text.is_foreign(at) && was_foreign) shown += '}';
    shown += text.bytes()[at];
  }
  if (!text.empty() && text.is_foreign(text.size() - 1)) shown += '}';
  return shown;
}

TEST_CASE("chat template: what is not known is refused by its name and line") {
  CHECK(refusal("a\nb\n{{ bos_token | urlize }}") ==
        "chat_template:3: the filter 'urlize' is not known");
  CHECK(refusal("\n{% if bos_token is cromulent %}{% endif %}") ==
        "chat_template:2: the test 'cromulent' is not known");
  CHECK(refusal("{% include 'x' %}") == "chat_template:1: the tag 'include' is not known");
  CHECK(refusal("\n\n{% import 'x' as y %}") == "chat_template:3: the tag 'import' is not known");
  CHECK(refusal("{{ bos_token.zfill(3) }}") ==
        "chat_template:1: the method 'zfill' of a text is not known");
  CHECK(refusal("{{ messages.append(1) }}") ==
        "chat_template:1: 'append' changes a list, which a chat template cannot do");
  CHECK(refusal("{% for a in [1] recursive %}{% endfor %}") ==
        "chat_template:1: a loop that is 'recursive' is not known");
  CHECK(refusal("{{ open('/etc/passwd') }}") == "chat_template:1: 'open' is not defined");
  CHECK(refusal("{{ lipsum.__globals__ }}") == "chat_template:1: the name 'lipsum' is not known");
  CHECK(refusal("{{ ''.__class__.__mro__ }}") ==
        "chat_template:1: '__class__' of a text is not defined");
  CHECK(refusal("{{ strftime_now('%Y') }}") ==
        "chat_template:1: 'strftime_now' is not here: a prompt does not depend on the day");
  CHECK(refusal("{{ messages[0].name.first }}") ==
        "chat_template:1: 'name' of a dict is not defined");
  CHECK(refusal("{{ 1 + 'a' }}") == "chat_template:1: '+' cannot be done with a number and a text");
  CHECK(refusal("{% if bos_token %}\n\n") == "chat_template:2: the tag 'endif' is missing");
  CHECK(refusal("{{ bos_token") == "chat_template:1: a tag does not end");
  CHECK(refusal("{{ f(*a) }}").starts_with("chat_template:1: arguments out of a list"));
}

TEST_CASE("chat template: its own refusal is told in its own words, in one line") {
  CHECK(refusal("{% if true %}\n{{ raise_exception('No\\nsystem!') }}{% endif %}") ==
        "chat_template:2: the template refuses this conversation: No system!");
}

TEST_CASE("chat template: there is no clock and no file, and a template can ask for that") {
  CHECK(rendered("{% if strftime_now is defined %}a{% else %}b{% endif %}", said("")).bytes() ==
        "b");
}

TEST_CASE("chat template: who wrote a byte is known however a text is cut and joined") {
  const auto of = [](const std::string& source) { return with_writers(source, said(" a,b ")); };
  CHECK(of("{{ bos_token }}{{ messages[0].content }}!") == "<s>{ a,b }!");
  CHECK(of("[{{ messages[0]['content'] | trim }}]") == "[{a,b}]");
  CHECK(of("{{ '<' + messages[0].role + '>' }}") == "<user>");
  CHECK(of("{{ '<' ~ messages[0].content.strip() ~ '>' }}") == "<{a,b}>");
  CHECK(of("{{ messages[0].content.split(',')[1] + '|' }}") == "{b }|");
  CHECK(of("{{ messages[0].content.replace(',', '<s>') }}") == "{ a}<s>{b }");
  CHECK(of("{{ messages[0].content | upper }}{{ messages[0].content[1:2] }}") == "{ A,B a}");
  CHECK(of("{{ messages[0].content | tojson }}") == "\"{ a,b }\"");
  CHECK(of("{{ [messages[0].content] }}") == "['{ a,b }']");
  CHECK(of("{{ '%s!' % messages[0].content }}") == "{ a,b }!");
  CHECK(of("{{ '{}!'.format(messages[0].content) }}") == "{ a,b }!");
  CHECK(of("{{ messages | map(attribute='content') | join('+') }}") == "{ a,b }");
  CHECK(of("{{ ['x', 'y'] | join(messages[0].content) }}") == "x{ a,b }y");
  CHECK(of("{% set t %}({{ messages[0].content }}){% endset %}{{ t | reverse }}") == "){ b,a }(");
  CHECK(of("{% macro m(c) %}<{{ c }}>{% endmacro %}{{ m(messages[0].content) }}") == "<{ a,b }>");
  CHECK(of("{% filter indent(2, true) %}{{ messages[0].content }}{% endfilter %}") == "  { a,b }");
  CHECK(of("{{ messages[0].content | safe + '<' }}") == "{ a,b }&lt;");
  CHECK(of("{% for c in messages[0].content %}{{ c }}.{% endfor %}") == "{ }.{a}.{,}.{b}.{ }.");
  CHECK(with_writers("{{ messages[0].content | tojson }}", said("\"\n")) == "\"{\\\"\\n}\"");
}

TEST_CASE("chat template: no template takes long, much memory or the stack") {
  const auto begin = std::chrono::steady_clock::now();
  const std::string many = "{% for a in range(99999) %}";
  CHECK(refusal(many + many + "{% endfor %}{% endfor %}").find("too much") != std::string::npos);
  CHECK(refusal("{% set n = namespace(t='aaaaaaaa') %}" + many +
                "{% set n.t = n.t ~ n.t %}{% endfor %}")
            .find("too") != std::string::npos);
  CHECK(refusal("{{ 'ab' * 1000000000000 }}").find("too long") != std::string::npos);
  CHECK(refusal("{{ [1] * 1000000000000 }}").find("too long") != std::string::npos);
  CHECK(refusal("{{ range(1000000000) | list }}").find("too long") != std::string::npos);
  CHECK(refusal("{% set n = namespace(l=[]) %}" + many + "{% set n.l = [n.l] %}{% endfor %}")
            .find("holds too much") != std::string::npos);
  CHECK(refusal("{% set n = namespace(l=[]) %}" + many + "{% set n.l = [n.l, n.l] %}{% endfor %}")
            .find("holds too much") != std::string::npos);
  CHECK(refusal("{% macro m(a) %}{{ m(a) }}{% endmacro %}{{ m(1) }}").find("too deeply") !=
        std::string::npos);
  const auto repeated = [](const std::string& piece, size_t times) {
    std::string text;
    for (size_t i = 0; i < times; ++i) text += piece;
    return text;
  };
  refusal("{{ " + repeated("(", 100'000) + " }}");
  refusal("{{ " + repeated("[", 100'000) + " }}");
  refusal("{{ " + repeated("not ", 100'000) + "a }}");
  refusal("{{ " + repeated("-", 100'000) + "1 }}");
  refusal("{{ 1" + repeated(" + 1", 50'000) + " }}");
  refusal("{{ bos_token" + repeated("|trim", 50'000) + " }}");
  refusal("{{ a" + repeated(".a", 50'000) + " }}");
  refusal("{{ 1" + repeated(" if 1 else 1", 50'000) + " }}");
  refusal(repeated("{% if 1 %}", 50'000));
  refusal(repeated("{% for a in [1] %}", 50'000));
  refusal("{{ 'a' | map(" + repeated("'map',", 50'000) + "'upper') | list }}");
  refusal("{{ '" + std::string(500'000, 'a') + "'.count('" + std::string(250'000, 'a') + "b') }}");
  refusal(std::string(2 << 20, ' '));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

TEST_CASE("chat template: a namespace in itself ends with the rendering") {
  CHECK(rendered("{% set n = namespace() %}{% set n.n = n %}{{ n.n.n is defined }}", said("x"))
            .bytes() == "True");
  refusal("{% set n = namespace() %}{% set n.n = n %}{{ n }}");
}

}  // namespace
}  // namespace troupe::model
