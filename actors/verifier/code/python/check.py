# Runs a problem's own tests against a program in another box. What the program returns arrives as
# bytes and is built again here from exact built-in types, so no object of the program's making
# takes part in any comparison. /box/plan has, encoded: the secret, the form ("humaneval" or
# "mbpp"), the entry point, what comes before the tests, and the tests (a list of sources).


class Ended(BaseException):
    """The program is gone, or does not speak as it should."""


class Broken(BaseException):
    """The tests ask for what cannot be done here, whatever the program is."""


class Raised(Exception):
    """The program raised something, or has no such function."""


class Opaque:
    """Stands for an object that stays in the program's box. Equal to itself only."""

    def __init__(self, number, type_name):
        self.number = number
        self.type_name = type_name


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


def main():
    is_called = False
    secret, form, entry_point, before, tests = decode(read_file("/box/plan"))
    secret = secret.encode()
    objects = {}

    def find(number, type_name):
        return objects.setdefault(number, Opaque(number, type_name))

    def number_of(value):
        if type(value) is not Opaque:
            raise Broken("a test gives the program a value of type " + type(value).__name__)
        return value.number

    encode = make_encoder(number_of)

    def finish(status, passed, detail):
        write_all(3, b"%s %s %d %d %s\n" % (secret, status, passed, len(tests), detail))
        posix._exit(0)

    def receive():
        message = read_message(0)
        if message is None:
            raise Ended()
        status, _, payload = message.partition(b" ")
        return status, payload

    class Program:
        """A function of the program, for the tests to call."""

        def __init__(self, name):
            self.name = name
            self.__name__ = name

        def __call__(self, *positional, **named):
            nonlocal is_called
            is_called = True
            write_message(1, encode((self.name, positional, named)))
            status, payload = receive()
            if status == b"value":
                try:
                    return decode(payload, find)
                except (ValueError, TypeError, OverflowError, MemoryError) as error:
                    raise Ended() from error
            text = payload[:300].decode("ascii", "replace")
            if status == b"missing":
                raise Raised("the program does not define " + text)
            if status == b"unwritable":
                raise Raised("the program returned what cannot be compared: " + text)
            # Tests may expect a built-in exception; its kind is all that they get.
            kind = getattr(builtins, text.partition(":")[0], None)
            bases = (Raised,)
            # Not those that loops and iterators take for an end.
            is_kind = type(kind) is type and issubclass(kind, Exception)
            if is_kind and not issubclass(kind, (StopIteration, StopAsyncIteration)):
                bases = (Raised, kind)
            try:
                error = type("Raised", bases, {})("the program raised " + text)
            except TypeError:
                error = Raised("the program raised " + text)
            raise error

    try:
        status, payload = receive()
    except Ended:
        finish(b"ended", 0, b"")
    if status != b"ready":
        finish(status if status in (b"syntax", b"raised") else b"ended", 0, one_line(
            payload[:300].decode("ascii", "replace")))

    import builtins

    scope = new_module()
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
    try:
        exec(context, scope)
        if form == "humaneval":
            for code in codes:
                exec(code, scope)
    except BaseException as error:
        if is_called:
            finish(b"raised", 0, b"the program failed in what the tests prepare")
        finish(b"broken", 0, describe(error))
    if form == "humaneval":
        # Before the tests the function has no body yet, and some tests call it by its name.
        scope[entry_point] = Program(entry_point)
    try:
        for code in codes:
            if form == "humaneval":
                check = scope.get("check")
                if check is None:
                    finish(b"broken", 0, b"the tests define no check()")
                check(Program(entry_point))
            else:
                exec(code, scope)
            passed += 1
    except Broken as error:
        finish(b"broken", passed, one_line(str(error)))
    except Ended:
        finish(b"ended", passed, b"")
    except Raised as error:
        finish(b"raised", passed, one_line(str(error)))
    except (ImportError, NameError) as error:
        # Of the tests' own: the program's arrive as Raised.
        finish(b"broken", passed, describe(error))
    except AssertionError as error:
        finish(b"failed", passed, one_line(str(error)[:200]))
    except BaseException as error:
        finish(b"failed", passed, b"the test raised " + describe(error))
    finish(b"passed", passed, b"")


main()
