# Holds a program and works its functions and objects for the tests, which run in another box:
# standard input has requests, standard output gets answers. Tests and expected results never come
# here. What is no plain data stays on its side and crosses as a reference:
#
#   o<number> <type>   an object of this side        p<name>       a name of the program
#   u<number>          a function of the tests       m<module>:<name>   a library's, taken from here
#   j<hexadecimal>     objects of classes of the tests, made anew here by what they hold
#
# A request is "do " and (operation, subject, positional, named); its answer a status and bytes.
# While one is worked on, the program may call a function of the tests ("call "); the tests then
# send requests of their own, or the call's answer ("value ", "raised ").


class Missing(Exception):
    pass


def raise_as_told(text):
    """What a function of the tests raised: a built-in exception, or none in particular."""
    import builtins

    kind = getattr(builtins, text.partition(":")[0], None)
    is_kind = type(kind) is type and issubclass(kind, Exception)
    raise (kind if is_kind else Exception)(text.partition(": ")[2])


def library_object(text):
    module, _, path = text.partition(":")
    found = __import__(module, fromlist=["*"])
    for name in path.split("."):
        found = getattr(found, name)
    return found


def set_item(subject, key, value):
    subject[key] = value


def delete_item(subject, key):
    del subject[key]


def main():
    requests, answers = posix.dup(0), posix.dup(1)
    silence_standard_streams()
    kept = []
    numbers = {}  # By identity, which lasts because what is kept is.
    name_of = type.__dict__["__name__"].__get__

    def keep(value):
        if id(value) not in numbers:
            numbers[id(value)] = len(kept)
            kept.append(value)
        name = name_of(type(value)).encode("utf-8", "replace")[:100]
        return b"o", b"%d %s" % (numbers[id(value)], name)

    read, write, exit = posix.read, write_all, posix._exit

    def answer(status, payload):
        write_message(answers, status + b" " + payload, write)

    scope = new_module()
    try:
        code = load(read_file("/box/solution.py"))
    except COMPILE_ERRORS as error:
        answer(b"syntax", describe(error))
        exit(0)
    encode = make_encoder(keep)
    try:
        add_usual_names(code, scope)
        exec(code, scope)
    except BaseException as error:
        answer(b"raised", describe(error))
        exit(0)
    answer(b"ready", b"")

    def named_object(name):
        found = scope.get(name)
        if found is None and "Solution" in scope:
            found = getattr(scope["Solution"](), name, None)
        if found is None:
            raise Missing(name)
        return found

    def function_of_tests(number):
        def call(*positional, **named):
            answer(b"call", encode((int(number), positional, named)))
            status, payload = answer_requests()
            if status == b"raised":
                raise_as_told(payload.decode("ascii", "replace"))
            return decode(payload, references)

        return call

    def objects_of_tests(text):
        """Of the program's class of that name, or else of one that has attributes only."""
        rows = decode(bytes.fromhex(text), references)
        kinds = {}
        for name, _ in rows:
            kind = scope.get(name)
            kinds[name] = kind if isinstance(kind, type) else type(name, (), {})
        objects = [kinds[name].__new__(kinds[name]) for name, _ in rows]

        def read_back(kind, value):
            if kind == "items":
                return [read_back(*item) for item in value]
            return objects[value] if kind == "object" else value

        for one, (_, attributes) in zip(objects, rows):
            for name, value in attributes.items():
                object.__setattr__(one, name, read_back(*value))
        return objects[0]

    references = {
        b"j": objects_of_tests,
        b"o": lambda text: kept[int(text)],
        b"p": named_object,
        b"u": function_of_tests,
        b"m": library_object,
    }

    def call(subject, *positional, **named):
        """Its result, and what it made of the lists that it was given where it has none: then the
        result is what it did to them. A function with a result cannot change what it is compared
        with."""
        mutable = (list, dict, set)
        before = [encode(one) if type(one) in mutable else None for one in positional]
        result = subject(*positional, **named)
        changed = {}
        if result is None:
            for i, one in enumerate(positional):
                if before[i] is not None and encode(one) != before[i]:
                    changed[i] = one
        return result, changed

    operations = {
        "call": call, "get": getattr, "set": setattr, "delete": delattr, "str": str, "repr": repr,
        "format": format, "len": len, "bool": bool, "int": int, "float": float, "items": list,
        "item": lambda subject, key: subject[key], "set item": set_item, "delete item": delete_item,
        "is instance": lambda subject, one: isinstance(one, subject),
        "operator": lambda subject, name, *other: getattr(subject, f"__{name}__")(*other),
        "await": lambda subject: __import__("asyncio").run(subject),
    }

    def work(request):
        try:
            operation, subject, positional, named = decode(request, references)
            result = encode(operations[operation](subject, *positional, **named))
        except Missing as error:
            answer(b"missing", one_line(str(error)))
        except Unwritable as error:
            answer(b"unwritable", describe(error))
        except BaseException as error:
            answer(b"raised", describe(error))
        else:
            answer(b"value", result)

    def answer_requests():
        """Until the answer to a call of ours comes, or for ever."""
        while (message := read_message(requests, read)) is not None:
            status, _, payload = message.partition(b" ")
            if status != b"do":
                return status, payload
            work(payload)
        exit(0)

    while True:
        answer_requests()


main()
