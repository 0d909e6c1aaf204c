// What +, <, in and their kin do, as in Python.
#pragma once

#include "model/chat_template/run.h"
#include "model/chat_template/syntax.h"

namespace troupe::model::chat_template {

// +, -, *, /, //, %, **. An error, naming the kinds, for what Python does not compute either, and
// for integers beyond 64 bits.
Value computed(Run& run, int line, Operator op, const Value& a, const Value& b);

// ==, !=, <, <=, >, >=, in, not in.
bool holds(Run& run, int line, Operator op, const Value& a, const Value& b);

bool contains(Run& run, int line, const Value& container, const Value& item);

// `value` with its %s, %d and %r replaced, as Python's % does.
Value formatted(Run& run, int line, const Text& format, const std::vector<Value>& values);

// Whether text would be changed by being made fit for HTML, as what is added to a `safe` text is.
bool needs_escapes(const Text& text);

}  // namespace troupe::model::chat_template
