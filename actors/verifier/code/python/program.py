# Runs a whole program that reads standard input and writes standard output. Descriptor 3 gets a
# word about how it ended, for the reason only: a verdict of "passed" needs the right output.


def main():
    write = write_all
    scope = new_module()
    scope["__name__"] = "__main__"
    sys.modules["__main__"] = sys.modules["solution"]
    try:
        code = load(read_file("/box/solution.py"))
    except COMPILE_ERRORS as error:
        write(3, b"syntax " + describe(error))
        posix._exit(1)
    status = 0
    try:
        add_usual_names(code, scope)
        exec(code, scope)
    except SystemExit as error:
        asked = SystemExit.__dict__["code"].__get__(error)
        status = 0 if asked is None else asked & 255 if type(asked) in (int, bool) else 1
    except BaseException as error:
        write(3, b"raised " + describe(error))
        status = 1
    # The interpreter ends as it would by itself: threads are waited for, exit functions run.
    if status:
        sys.exit(status)


main()
