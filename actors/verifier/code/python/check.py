# Runs a problem's own tests against a program in another box. What the program returns arrives as
# bytes and is built again here from exact types of our own, so no object of the program's making
# takes part in any comparison. /box/plan has, encoded: the secret, the form ("humaneval", "mbpp" or
# "pytest"), the entry point, what comes before the tests, and the tests (a list of sources). The
# messages between the two are described in serve.py.


class Ended(BaseException):
    """The program is gone, or does not speak as it should."""


class Absent(BaseException):
    """The program has no such function, or a result that nothing can be made of. No exception that
    a test could expect."""


class Raised(Exception):
    """The program raised something."""


ask = None  # How a Remote asks the program; set by main().


# Questions of plain values whose answer is what a test asserts: "f(x).startswith('ab')".
DECISIVE = frozenset(("startswith", "endswith", "issubset", "issuperset", "isdisjoint", "equals",
                      "isclose", "allclose", "__eq__", "__ne__", "__contains__", "__lt__",
                      "__le__", "__gt__", "__ge__"))


class Remote:
    """Something that stays in the program's box. What is asked of it is answered there; but whether
    it equals anything is never left to the program."""

    __slots__ = ("_reference", "_name", "_is_of_tests")

    def __init__(self, reference, name):
        object.__setattr__(self, "_reference", reference)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_is_of_tests", False)

    def __eq__(self, other):
        if self is other:
            return True
        if not isinstance(other, Remote):
            return NotImplemented
        if self._is_of_tests or other._is_of_tests:
            raise Broken("a test compares two objects of the program's own class, so the program "
                         "would decide")
        raise Absent("the program returned an object of type " + self._name +
                     " that only it could compare")

    __hash__ = object.__hash__

    def __call__(self, *positional, **named):
        result, changed = ask("call", self, *positional, **named)
        for index, value in changed.items():
            put_into(positional[index], value)
        if isinstance(result, Remote) and result._name == "coroutine":
            return awaited(result)
        if isinstance(result, Remote) and result._name == self._name:
            object.__setattr__(result, "_is_of_tests", True)  # A test made it: Point(1, 2).
        return result

    def __getattr__(self, name):
        if name in DECISIVE and self._reference[0] != b"p":
            if self._is_of_tests:
                raise Broken("a test asks the program's own object for " + name +
                             "(), so the program would decide")
            raise Absent("the program returned an object of type " + self._name +
                         ", whose " + name + "() only it could answer")
        result = ask("get", self, name)
        if isinstance(result, Remote):
            object.__setattr__(result, "_is_of_tests", self._reference[0] == b"p")  # Color.RED.
        return result

    def __setattr__(self, name, value):
        ask("set", self, name, value)

    def __delattr__(self, name):
        ask("delete", self, name)

    def __str__(self):
        return ask("str", self)

    def __repr__(self):
        return ask("repr", self)

    def __format__(self, form):
        return ask("format", self, form)

    def __len__(self):
        return ask("len", self)

    def __bool__(self):
        return self._reference[0] == b"p" or ask("bool", self)

    def __int__(self):
        return ask("int", self)

    def __float__(self):
        return ask("float", self)

    # Not those by which tests compare, unless both are the program's: "f(1) - 5 == 0" would tell it
    # what it is compared with.
    def __add__(self, other):
        return ask("operator", self, "add", other)

    def __mul__(self, other):
        return ask("operator", self, "mul", other)

    def __rmul__(self, other):
        return ask("operator", self, "rmul", other)

    def __sub__(self, other):
        return ask_of_two("sub", self, other)

    def __truediv__(self, other):
        return ask_of_two("truediv", self, other)

    def __matmul__(self, other):
        return ask_of_two("matmul", self, other)

    def __and__(self, other):
        return ask_of_two("and", self, other)

    def __or__(self, other):
        return ask_of_two("or", self, other)

    def __neg__(self):
        return ask("operator", self, "neg")

    def __iter__(self):
        return iter(ask("items", self))

    def __getitem__(self, key):
        return ask("item", self, key)

    def __setitem__(self, key, value):
        ask("set item", self, key, value)

    def __delitem__(self, key):
        ask("delete item", self, key)

    def __instancecheck__(self, one):
        return isinstance(one, Remote) and ask("is instance", self, one) is True


def ask_of_two(operator, one, other):
    return ask("operator", one, operator, other) if isinstance(other, Remote) else NotImplemented


async def awaited(coroutine):
    return ask("await", coroutine)


class Program(Remote):
    """A function or class of the program, by its name."""

    __slots__ = ()

    def __init__(self, name):
        super().__init__((b"p", name.encode()), name)

    @property
    def __name__(self):
        return self._name


def put_into(old, new):
    """What the program did to a list of the tests' is done to that list."""
    if type(old) is list and type(new) is list:
        old[:] = new
    elif type(old) is type(new) and type(old) in (dict, set):
        old.clear()
        old.update(new)


def reference_to(value):
    """How the program is told of what is no plain data. What a library has it takes from there
    itself: nothing of the tests' box but their own functions can be called by the program."""
    if isinstance(value, Remote):
        return value._reference
    if type(value).__name__ in ("partial", "itemgetter", "attrgetter", "methodcaller"):
        functions.append(value)  # They are made of something of the tests.
        return b"u", b"%d" % (len(functions) - 1)
    if callable(value):
        owner = getattr(value, "__objclass__", None)
        module = (owner or value).__module__ if hasattr(owner or value, "__module__") else None
        path = getattr(value, "__qualname__", "")
        if module in sys.stdlib_module_names:
            found = sys.modules.get(module)
            for name in path.split("."):
                found = getattr(found, name, None)
            if found is value:
                return b"m", ("%s:%s" % (module, path)).encode()
            raise Broken("a test gives the program something of " + module)
        is_method_of_value = type(value).__name__ == "builtin_function_or_method"
        if module == "tests" or type(value).__module__ == "tests" or is_method_of_value:
            functions.append(value)
            return b"u", b"%d" % (len(functions) - 1)
    elif type(value).__module__ == "tests":
        return b"j", make_encoder(reference_to)(table_of(value)).hex().encode()
    raise Broken("a test gives the program a value of type " + type(value).__name__)


def table_of(first):
    """An object of a class of the tests, and those that it leads to, as (class, attributes) by
    number: a list of nodes may be long, and a graph has circles."""
    objects, numbers, rows = [first], {id(first): 0}, []

    def written(value):
        if type(value) in (list, tuple):
            return ("items", [written(item) for item in value])
        if type(value).__module__ != "tests" or callable(value):
            return ("value", value)
        if id(value) not in numbers:
            numbers[id(value)] = len(objects)
            objects.append(value)
        return ("object", numbers[id(value)])

    while len(rows) < len(objects):
        if len(rows) > ITEMS_MAX // 10:
            raise Broken("a test gives the program too many objects")
        one = objects[len(rows)]
        if not hasattr(one, "__dict__"):
            raise Broken("a test gives the program a value of type " + type(one).__name__)
        rows.append((type(one).__name__, {k: written(v) for k, v in vars(one).items()}))
    return rows


functions = []  # That tests have given to the program.


class SolutionModule(type(sys)):
    """What "from solution import f" takes names from."""

    def __getattr__(self, name):
        if name == "__all__":  # "from solution import *"
            return self.names_left()
        if name.startswith("__"):
            raise AttributeError(name)
        return Program(name)


def names_of_program(context, tests):
    """What the tests mention and nobody else has is the program's. Where that is nothing, a
    library's name is, or a built-in's: there are problems that ask for a function called sum."""
    import builtins

    mentioned = [name for code in [context] + tests for name in sorted(names_in(code))]
    foreign = [n for n in mentioned if n not in USUAL_MODULES and not hasattr(builtins, n)]
    usual = set().union(*USUAL_NAMES.values())
    own = [name for name in foreign if name not in usual]
    if own or foreign:
        return own or foreign
    return [name for name in tests[0].co_names if hasattr(builtins, name)][:1] if tests else []


def names_left(codes, scope):
    """What tests without names after "import" mean by the program's: all that they mention and
    nobody else has so far. Never a built-in, which tests judge with; nor a library, whose import
    they forgot."""
    import builtins

    mentioned = sorted(set().union(*[names_in(code) for code in codes]))
    return [name for name in mentioned if name not in scope and not hasattr(builtins, name) and
            name not in sys.stdlib_module_names and name not in ("np", "pd", "pytest") and
            not name.startswith("__")]


def raised_error(text):
    """Tests may expect a built-in exception; its kind and its words are all that they get."""
    import builtins

    name, _, message = text.partition(": ")
    kind = getattr(builtins, name, None)
    bases = (Raised,)
    # Not those that loops and iterators take for an end.
    is_kind = type(kind) is type and issubclass(kind, Exception)
    if is_kind and not issubclass(kind, (StopIteration, StopAsyncIteration)):
        bases = (Raised, kind)
    try:
        error = type("Raised", bases, {})(message)
    except TypeError:
        error = Raised(message)
    error.kind_name, error.detail = name, "the program raised " + text
    return error


def main():
    global ask
    is_asked = False
    secret, form, entry_point, before, tests = decode(read_file("/box/plan"))
    secret = secret.encode()
    from_program, to_program = posix.dup(0), posix.dup(1)
    silence_standard_streams()
    encode = make_encoder(reference_to)

    def finish(status, passed, detail):
        write_all(3, b"%s %s %d %d %s\n" % (secret, status, passed, len(tests), detail))
        posix._exit(0)

    def receive():
        message = read_message(from_program)
        if message is None:
            raise Ended()
        status, _, payload = message.partition(b" ")
        return status, payload

    def opaque(text):
        number, _, type_name = text.partition(" ")
        return Remote((b"o", b"%d" % int(number)), type_name)

    references = {b"o": opaque}

    def read(payload):
        try:
            return decode(payload, references)
        except (Ended, Broken):
            raise
        except Exception as error:
            raise Ended() from error

    def answer_call(payload):
        """The program calls a function that a test has given to it."""
        call = read(payload)
        try:
            number, positional, named = call
            function = functions[number] if type(number) is int and number >= 0 else None
        except (TypeError, ValueError, IndexError) as error:
            raise Ended() from error
        try:
            result = b"value " + encode(function(*positional, **named))
        except Exception as error:
            result = b"raised " + describe(error)
        write_message(to_program, result)

    def ask_program(operation, subject, *positional, **named):
        nonlocal is_asked
        is_asked = True
        write_message(to_program, b"do " + encode((operation, subject, positional, named)))
        while True:
            status, payload = receive()
            if status != b"call":
                break
            answer_call(payload)
        if status == b"value":
            value = read(payload)
            if operation != "call":
                return value
            if type(value) is not tuple or len(value) != 2 or type(value[1]) is not dict:
                raise Ended()
            if any(type(i) is not int or not 0 <= i < len(positional) for i in value[1]):
                raise Ended()
            # Only where there is no result: see serve.py.
            return value if value[0] is None else (value[0], {})
        text = payload[:300].decode("ascii", "replace")
        if status == b"missing":
            raise Absent("the program does not define " + text)
        if status == b"unwritable":
            raise Absent("the program returned what cannot be compared: " + text)
        raise raised_error(text)

    ask = ask_program
    try:
        status, payload = receive()
    except Ended:
        finish(b"ended", 0, b"")
    if status != b"ready":
        finish(status if status in (b"syntax", b"raised") else b"ended", 0, one_line(
            payload[:300].decode("ascii", "replace")))

    scope = new_module("tests")
    sys.modules["solution"] = SolutionModule("solution")
    sys.modules["pytest"] = pytest_words()
    passed = 0
    try:
        codes = [compile(source, "tests.py", "exec", dont_inherit=True) for source in tests]
        try:
            context = compile(before, "context.py", "exec", dont_inherit=True)
        except SyntaxError:
            # A function that has nothing but comments yet.
            context = compile(before + "\n    pass\n", "context.py", "exec", dont_inherit=True)
    except COMPILE_ERRORS as error:
        finish(b"broken", 0, describe(error))
    if form == "mbpp":
        for name in names_of_program(context, codes):
            scope[name] = Program(name)
    for code in [context] + codes:
        add_usual_names(code, scope)
    is_guessed = False

    def left():
        nonlocal is_guessed
        is_guessed = True
        return names_left(codes, scope)

    sys.modules["solution"].names_left = left
    if form == "pytest" and not any("solution" in names_in(code) for code in codes):
        for name in left():
            scope[name] = Program(name)
    if form == "pytest" and entry_point:
        scope[entry_point] = Program(entry_point)  # Also where a built-in has that name.
    try:
        exec(context, scope)
        if form == "humaneval":
            # Before the tests the function has no body yet, and some tests call it by its name.
            scope[entry_point] = Program(entry_point)
        if form != "mbpp":
            for code in codes:
                exec(code, scope)
    except BaseException as error:
        if is_asked and form == "humaneval" and type(error) is AssertionError:
            finish(b"failed", 0, one_line(str(error)[:200]))  # Tests that end in check(f).
        if is_asked:
            finish(b"raised", 0, b"the program failed in what the tests prepare")
        finish(b"broken", 0, one_line(str(error)) if type(error) is Broken else describe(error))
    try:
        for code in codes:
            if form == "humaneval":
                check = scope.get("check")
                if check is None:
                    finish(b"broken", 0, b"the tests define no check()")
                check(Program(entry_point))
            elif form == "pytest":
                run_tests(scope)
                # They would pass any program: what they call is a built-in function's name, say.
                if is_guessed and not is_asked:
                    raise Broken("the tests call nothing of the program's; let them import it: "
                                 "from solution import NAME")
            else:
                exec(code, scope)
            passed += 1
    except Broken as error:
        finish(b"broken", passed, one_line(str(error)))
    except Ended:
        finish(b"ended", passed, b"")
    except Absent as error:
        finish(b"raised", passed, one_line(str(error)))
    except Raised as error:
        finish(b"raised", passed, one_line(error.detail))
    except (ImportError, NameError) as error:
        # Of the tests' own: the program's arrive as Raised.
        finish(b"broken", passed, describe(error))
    except AssertionError as error:
        finish(b"failed", passed, one_line(str(error)[:200]))
    except BaseException as error:
        finish(b"failed", passed, b"the test raised " + describe(error))
    finish(b"passed", passed, b"")


main()
