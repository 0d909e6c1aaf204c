# Calls one function once. Standard input has the run's secret, the function's name and the encoded
# arguments; descriptor 3 gets one frame with the secret and the encoded result. The expected result
# is not here, so a program that finds the secret has won nothing.


def main():
    secret = read_message(0)
    name = read_message(0).decode()
    arguments = decode(read_message(0))
    silence_standard_streams()
    exit, write, frame_of = posix._exit, write_all, b"%s %s %d\n%s"

    def answer(status, payload):
        write(3, frame_of % (secret, status, len(payload), payload))
        exit(0)

    scope = new_module()
    try:
        code = load(read_file("/box/solution.py"), scope)
    except COMPILE_ERRORS as error:
        answer(b"syntax", describe(error))
    encode = make_encoder()
    try:
        exec(code, scope)
        function = scope.get(name)
        if function is None and "Solution" in scope:
            function = getattr(scope["Solution"](), name, None)
        if function is None:
            answer(b"missing", one_line(name))
        result = function(*arguments)
    except BaseException as error:
        answer(b"raised", describe(error))
    try:
        payload = encode(result)
    except Unwritable as error:
        answer(b"unwritable", describe(error))
    except BaseException as error:
        answer(b"raised", describe(error))
    answer(b"value", payload)


main()
