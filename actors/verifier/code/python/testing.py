# What tests written for pytest and unittest find here: the words of `pytest` that such tests use,
# and how their functions are found and run.


class Broken(BaseException):
    """The tests ask for what cannot be done here, whatever the program is."""


class Approx:
    def __init__(self, expected, rel=None, abs=None, nan_ok=False):
        self.expected, self.rel, self.abs = expected, rel, abs
        self.nan_ok = nan_ok

    def tolerance(self, expected):
        if self.abs is not None and self.rel is None:
            return self.abs
        relative = (1e-6 if self.rel is None else self.rel) * abs(expected)
        return max(relative, 1e-12 if self.abs is None else self.abs)

    def is_near(self, actual, expected):
        kind = type(expected)
        if kind is dict:
            return type(actual) is dict and actual.keys() == expected.keys() and all(
                self.is_near(actual[key], expected[key]) for key in expected)
        if kind in (list, tuple):
            return type(actual) is kind and len(actual) == len(expected) and all(
                self.is_near(a, e) for a, e in zip(actual, expected))
        if kind not in (int, float, complex) or type(actual) not in (int, float, complex):
            return actual == expected
        if expected != expected:
            return self.nan_ok and actual != actual
        return actual == expected or abs(actual - expected) <= self.tolerance(expected)

    def __eq__(self, actual):
        return self.is_near(actual, self.expected)

    __hash__ = None

    def __repr__(self):
        return "approx(%r)" % (self.expected,)


class Raises:
    """A with statement that must end with an exception."""

    def __init__(self, expected, match=None):
        self.expected = expected if type(expected) is tuple else (expected,)
        self.match = match

    def __enter__(self):
        return self

    def is_expected(self, error):
        name = getattr(error, "kind_name", type(error).__name__)
        return any(isinstance(error, one) if isinstance(one, type) else one.__name__ == name
                   for one in self.expected)

    def __exit__(self, kind, error, traceback):
        if error is None:
            raise AssertionError("the test expects an exception")
        if not isinstance(error, Exception) or not self.is_expected(error):
            return False
        if self.match is not None and not __import__("re").search(self.match, str(error)):
            raise AssertionError("the exception says something else")
        self.type, self.value = type(error), error
        return True


def raises(expected, function=None, *positional, match=None, **named):
    if function is None:
        return Raises(expected, match)
    with Raises(expected, match) as info:
        function(*positional, **named)
    return info


class Mark:
    """pytest.mark: only parametrize changes what runs; skipped tests are not for a program."""

    def parametrize(self, names, values, **_):
        if type(names) is str:
            names = [name.strip() for name in names.split(",") if name.strip()]

        def decorate(function):
            rows = [dict(zip(names, one if len(names) > 1 else (one,))) for one in values]
            function.rows = [{**old, **row} for row in rows for old in
                             getattr(function, "rows", [{}])]
            return function

        return decorate

    def __getattr__(self, name):
        if name not in ("timeout", "slow", "fast", "unit", "smoke"):
            raise Broken("the tests use pytest.mark." + name)
        return lambda *positional, **named: positional[0] if positional and callable(
            positional[0]) else (lambda function: function)


def fixture(function=None, **_):
    if function is None:
        return fixture
    function.is_fixture = True
    return function


def fail(reason=""):
    raise AssertionError(reason)


def pytest_words():
    module = type(sys)("pytest")
    module.approx, module.raises, module.mark = Approx, raises, Mark()
    module.fixture, module.fail = fixture, fail
    module.param = lambda *values, **_: values if len(values) > 1 else values[0]

    def absent(name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise Broken("the tests use pytest." + name)

    module.__getattr__ = absent
    return module


def run_test(function, scope):
    """Once, or once for each row of its parameters."""
    code = function.__code__
    is_bound = hasattr(function, "__self__")
    names = code.co_varnames[is_bound : code.co_argcount]
    defaults = function.__defaults__ or ()
    for row in getattr(function, "rows", [{}]):
        arguments = dict(row)
        for name in names[: len(names) - len(defaults)]:
            if name in arguments:
                continue
            made_by = scope.get(name)
            if not getattr(made_by, "is_fixture", False) or made_by.__code__.co_argcount:
                raise Broken("a test wants a fixture that is not here: " + name)
            if made_by.__code__.co_flags & 0x20:
                raise Broken("a fixture that yields: " + name)
            arguments[name] = made_by()
        function(**arguments)


def run_class(kind, scope):
    names = [name for one in reversed(kind.__mro__) for name in vars(one)]
    names = [name for name in dict.fromkeys(names) if name.startswith("test")]
    unittest = sys.modules.get("unittest")
    is_case = unittest is not None and issubclass(kind, unittest.TestCase)
    class_setup = getattr(kind, "setUpClass" if is_case else "setup_class", None)
    if class_setup is not None and names:
        class_setup()
    for name in names:
        case = kind(name) if is_case else kind()
        before = getattr(case, "setUp" if is_case else "setup_method", None)
        if before is not None:
            run_test(before, {"method": None, **scope}) if is_case else before(
                *[None] * (before.__code__.co_argcount - 1))
        run_test(getattr(case, name), scope)
    return len(names)


def run_tests(scope):
    """Every test of the module, in the order in which they are defined."""
    number = 0
    for name, value in list(scope.items()):
        if name.startswith("test") and type(value) is type(run_tests):
            run_test(value, scope)
            number += 1
        elif isinstance(value, type) and value.__module__ == scope["__name__"]:
            unittest = sys.modules.get("unittest")
            if name.startswith("Test") or (unittest and issubclass(value, unittest.TestCase)):
                number += run_class(value, scope)
    if number == 0:
        raise Broken("the tests have no test")
