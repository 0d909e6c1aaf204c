# Holds a program and calls its functions for the tests, which run in another box: standard input
# has requests, standard output gets answers. Tests and expected results never come here.


def main():
    requests, answers = posix.dup(0), posix.dup(1)
    silence_standard_streams()
    kept = []
    kept_append, kept_len = kept.append, kept.__len__

    def keep(value):
        kept_append(value)
        return kept_len() - 1

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
    while (request := read_message(requests, read)) is not None:
        name, positional, named = decode(request, lambda number, _: kept[number])
        function = scope.get(name)
        if function is None and "Solution" in scope:
            function = getattr(scope["Solution"](), name, None)
        if function is None:
            answer(b"missing", one_line(name))
            continue
        try:
            result = function(*positional, **named)
            payload = encode(result)
        except Unwritable as error:
            answer(b"unwritable", describe(error))
        except BaseException as error:
            answer(b"raised", describe(error))
        else:
            answer(b"value", payload)
    exit(0)


main()
