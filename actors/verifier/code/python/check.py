# Runs a problem's own tests against a program in another box. What the program returns arrives as
# bytes and is built again here from exact built-in types, so no object of the program's making
# takes part in any comparison. /box/plan has, encoded: the secret, the form ("humaneval" or
# "mbpp"), the entry point, what comes before the tests, and the tests (a list of sources).


class Ended(Exception):
    """The program is gone, or does not speak as it should."""


class Raised(Exception):
    """The program raised something, or has no such function."""


class Opaque:
    """Stands for an object that stays in the program's box. Equal to itself only."""

    def __init__(self, number, type_name):
        self.number = number
        self.type_name = type_name


def main():
    secret, form, entry_point, before, tests = decode(read_file("/box/plan"))
    secret = secret.encode()
    objects = {}

    def find(number, type_name):
        return objects.setdefault(number, Opaque(number, type_name))

    def number_of(value):
        if type(value) is not Opaque:
            raise Unwritable("a test gives the program a value of type " + type(value).__name__)
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
            if type(kind) is type and issubclass(kind, Exception):
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
        context = compile(before, "context.py", "exec", dont_inherit=True)
    except COMPILE_ERRORS as error:
        finish(b"broken", 0, describe(error))
    if form == "mbpp":
        # Whatever the tests mention and nobody defines is the program's.
        for name in sorted(set().union(*(names_in(code) for code in [context] + codes))):
            if name in USUAL_MODULES:
                scope[name] = __import__(name)
            elif not hasattr(builtins, name):
                scope[name] = Program(name)
    else:
        for code in [context] + codes:
            add_usual_names(code, scope)
    try:
        exec(context, scope)
    except (Raised, Ended):
        finish(b"raised", 0, b"the program failed in what the tests prepare")
    except BaseException as error:
        finish(b"broken", 0, describe(error))
    if form == "humaneval":
        # Before the tests the function has no body yet, and some tests call it by its name.
        scope[entry_point] = Program(entry_point)
    try:
        for code in codes:
            exec(code, scope)
            if form == "humaneval":
                check = scope.get("check")
                if check is None:
                    finish(b"broken", 0, b"the tests define no check()")
                check(Program(entry_point))
            passed += 1
    except Ended:
        finish(b"ended", passed, b"")
    except Raised as error:
        finish(b"raised", passed, one_line(str(error)))
    except AssertionError as error:
        finish(b"failed", passed, one_line(str(error)[:200]))
    except BaseException as error:
        finish(b"failed", passed, b"the test raised " + describe(error))
    finish(b"passed", passed, b"")


main()
