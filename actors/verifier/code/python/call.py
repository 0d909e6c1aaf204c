# Calls one function once for each test, every time in a fresh process with a fresh program.
# Standard input has messages: the run's secret, the function's name, the CPU seconds of a test,
# then the encoded arguments of every test. Descriptor 3 gets one frame for each test until one has
# no result: "SECRET ENDED SIZE\n" and what the test's process wrote, where ENDED is "exit",
# "signal" or "timeout". The expected results are not here, so a program that reads all of this has
# won nothing.


class Alarm(Exception):
    pass


def run_test(code, name, arguments, seconds, answers):
    """In a process of its own; does not return."""
    import _signal

    # Its default action ends the process. A program that ignores it is found out by its CPU time.
    _signal.setitimer(_signal.ITIMER_PROF, seconds)
    encode = make_encoder()
    exit, write = posix._exit, write_all

    def answer(status, payload):
        write(answers, status + b" " + payload)
        exit(0)

    scope = new_module()
    add_usual_names(code, scope)
    try:
        exec(code, scope)
        function = scope.get(name)
        if function is None and "Solution" in scope:
            function = getattr(scope["Solution"](), name, None)
        if function is None:
            answer(b"missing", one_line(name))
        result = function(*arguments)
        payload = encode(result)
    except Unwritable as error:
        answer(b"unwritable", describe(error))
    except BaseException as error:
        answer(b"raised", describe(error))
    answer(b"value", payload)


def main():
    import _signal

    secret = read_message(0)
    name = read_message(0).decode()
    seconds = float(read_message(0))
    tests = []
    while (message := read_message(0)) is not None:
        tests.append(message)
    silence_standard_streams()

    def frame(ended, written):
        write_all(3, b"%s %s %d\n%s" % (secret, ended, len(written), written))

    try:
        code = load(read_file("/box/solution.py"))
    except COMPILE_ERRORS as error:
        frame(b"exit", b"syntax " + describe(error))
        posix._exit(0)

    def on_alarm(*_):
        raise Alarm()

    _signal.signal(_signal.SIGALRM, on_alarm)
    for message in tests:
        answers, to_parent = posix.pipe()
        child = posix.fork()
        if child == 0:
            _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
            posix.close(3)
            posix.close(answers)
            run_test(code, name, decode(message), seconds, to_parent)
        posix.close(to_parent)
        written = []
        size = 0
        ended = b"exit"
        try:
            _signal.setitimer(_signal.ITIMER_REAL, 2 * seconds + 2)
            while size <= BYTES_MAX and (piece := posix.read(answers, 1 << 16)):
                written.append(piece)
                size += len(piece)
            _, status, usage = posix.wait4(child, 0)
            child = 0
            _signal.setitimer(_signal.ITIMER_REAL, 0)
            if usage.ru_utime + usage.ru_stime >= seconds:
                ended = b"timeout"
            elif posix.WIFSIGNALED(status):
                ended = b"timeout" if posix.WTERMSIG(status) == _signal.SIGPROF else b"signal"
        except Alarm:
            ended = b"timeout"
        # No process of a test lives on into the next one.
        try:
            posix.kill(-1, _signal.SIGKILL)
        except ProcessLookupError:
            pass
        if child:
            posix.wait4(child, 0)
        posix.close(answers)
        written = b"".join(written)
        frame(ended, written)
        if ended != b"exit" or not written.startswith(b"value "):
            break
    posix._exit(0)


main()
