# Values as bytes, for what crosses between a program and its judge. Exact built-in types only: an
# object that merely claims to be a number is not written as one. Every name that is needed later
# is bound before any foreign code runs.
#
#   N T F                none, true, false          i<digits>;  f<hexadecimal>;  c<hex>,<hex>;
#   s<bytes>:<utf-8>     text                       b<bytes>:<bytes>
#   l t e z <count>:     list, tuple, set, frozenset, then the items
#   d<count>:            dictionary, then key and value by turns
#   r<count>:            range, three integers      g<count>: an iterator, its items
#   x<bytes>:<type's name>, then a tuple            an object of a library, made of these parts
#   o u m p <bytes>:<text>                          what stays where it is; see serve.py

import posix
import sys

DEPTH_MAX = 100
ITEMS_MAX = 2_000_000
BYTES_MAX = 16 << 20

sys.set_int_max_str_digits(0)

# Installed packages come behind the standard library, as they do outside of boxes. The file is here
# where the problem may use them. A box has few processes, so libraries are to have one thread.
try:
    _fd = posix.open("/box/packages", posix.O_RDONLY)
    sys.path += posix.read(_fd, 1 << 16).decode().split()
    posix.close(_fd)
    for _name in (b"OPENBLAS_NUM_THREADS", b"OMP_NUM_THREADS", b"MKL_NUM_THREADS"):
        posix.putenv(_name, b"1")
except OSError:
    pass


class Unwritable(Exception):
    pass


def parts_of_datetime(v):
    return (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo, v.fold)


def parts_of_time(v):
    return (v.hour, v.minute, v.second, v.microsecond, v.tzinfo, v.fold)


# Objects of libraries that are as good as plain data: by module and name, how they come apart.
PARTS = {
    ("builtins", "bytearray"): lambda v: (bytes(v),),
    ("datetime", "date"): lambda v: (v.year, v.month, v.day),
    ("datetime", "datetime"): parts_of_datetime,
    ("datetime", "time"): parts_of_time,
    ("datetime", "timedelta"): lambda v: (v.days, v.seconds, v.microseconds),
    ("datetime", "timezone"): lambda v: (v.utcoffset(None),),
    ("decimal", "Decimal"): lambda v: (str(v),),
    ("fractions", "Fraction"): lambda v: (v.numerator, v.denominator),
    ("collections", "deque"): lambda v: (list(v), v.maxlen),
    ("collections", "Counter"): lambda v: (dict(v),),
    ("collections", "OrderedDict"): lambda v: (dict(v),),
    ("numpy", "ndarray"): lambda v: (v.tolist(), v.dtype.str),
}


def parts_of(value, kind):
    """The type's name and the parts of an object of a library; None for any other object."""
    for module, name in PARTS:
        if module in sys.modules and getattr(sys.modules[module], name, None) is kind:
            return module + "." + name, PARTS[module, name](value)
    if is_named_tuple(kind):
        return "namedtuple", (kind.__name__, kind._fields, list(tuple.__iter__(value)))
    return None


def is_named_tuple(kind):
    return kind.__mro__[1:2] == (tuple,) and type(kind.__dict__.get("_fields")) is tuple


def made_of(name, parts):
    """The object that has these parts. Any exception where they are not a type's: they may have
    come from anywhere, so each part's type is looked at before a type's own code sees it."""
    if type(parts) is not tuple:
        raise ValueError("no parts")
    if name == "namedtuple":
        import collections

        type_name, fields, values = parts
        if {type(type_name), *map(type, fields)} != {str} or len(fields) > 100:
            raise ValueError("no names")
        return collections.namedtuple(type_name, fields)(*values)
    if name == "builtins.bytearray" and type(parts[0]) is bytes:
        return bytearray(*parts)
    if name == "decimal.Decimal" and type(parts[0]) is str:
        import decimal

        return decimal.Decimal(*parts)
    if name == "fractions.Fraction" and set(map(type, parts)) == {int}:
        import fractions

        return fractions.Fraction(*parts)
    container = {"collections.deque": list, "collections.Counter": dict,
                 "collections.OrderedDict": dict}.get(name)
    if container is not None and type(parts[0]) is container:
        import collections

        return getattr(collections, name.partition(".")[2])(*parts)
    if name == "numpy.ndarray" and type(parts[1]) is str:
        import numpy

        if parts[1][:1] not in "<>|=" or parts[1][1:2] not in "biufcUS":
            raise ValueError("no array of plain items")
        return numpy.array(parts[0], dtype=numpy.dtype(parts[1]))
    module, _, name = name.partition(".")
    if module == "datetime" and (module, name) in PARTS:
        import datetime

        if name == "datetime" or name == "time":
            return getattr(datetime, name)(*parts[:-1], fold=parts[-1])
        return getattr(datetime, name)(*parts)
    raise ValueError("an unknown type")


def plain_item(value):
    """The plain number or text that a scalar of numpy is; nothing else changes."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, getattr(numpy, "generic", ())):
        return value
    item = value.item()
    return item if type(item) in (bool, int, float, complex, str, bytes) else value


def make_encoder(keep=None):
    """`keep(value)` gives the kind and text of a reference to what is not plain data; without it,
    such values are refused."""
    type_, repr_, len_, next_, iter_, sorted_ = type, repr, len, next, iter, sorted
    str_encode, hex_, name_of = str.encode, float.hex, type.__dict__["__name__"].__get__
    items_of, dict_len, tuple_iter = dict.items, dict.__len__, tuple.__iter__
    parts_of_, is_named_tuple_, plain_item_ = parts_of, is_named_tuple, plain_item
    views = (
        map, filter, zip, enumerate, reversed, type_({}.keys()), type_({}.values()),
        type_({}.items()), type_(iter([])), type_(iter(())), type_(iter({})), type_(iter("")),
        type_(iter(set())), type_(iter(range(0))), type_(x for x in ()),
    )
    containers = {list: b"l", tuple: b"t", set: b"e", frozenset: b"z"}
    plain = {type_(None), bool, int, float, str, bytes, complex, range, dict, *containers, *views}
    # The standard library's dictionaries are equal to plain ones. They are here if the program
    # mentions them, because load() has imported them before anything of the program ran.
    dictionaries = [dict]
    if "collections" in sys.modules:
        standard = sys.modules["collections"]
        dictionaries += [standard.Counter, standard.OrderedDict, standard.defaultdict]
    plain_dictionaries = [dict] + dictionaries[3:]  # Others have methods that tests call.

    def encode(value):
        out = []
        count = 0
        total = 0
        # A stack of iterators instead of recursion: depth is counted, not felt.
        stack = [iter_((value,))]
        while stack:
            try:
                v = next_(stack[-1])
            except StopIteration:
                stack.pop()
                continue
            count += 1
            if count > ITEMS_MAX:
                raise Unwritable("a result with too many items")
            if len_(stack) > DEPTH_MAX:
                raise Unwritable("a result that is nested too deeply")
            t = type_(v)
            if t not in plain:
                v = plain_item_(v)
                t = type_(v)
            if v is None:
                piece = b"N"
            elif t is bool:
                piece = b"T" if v else b"F"
            elif t is int:
                piece = b"i" + str_encode(repr_(v)) + b";"
            elif t is float:
                piece = b"f" + str_encode(hex_(v)) + b";"
            elif t is str:
                text = str_encode(v, "utf-8", "surrogatepass")
                piece = b"s" + str_encode(repr_(len_(text))) + b":" + text
            elif t is bytes:
                piece = b"b" + str_encode(repr_(len_(v))) + b":" + v
            elif t is complex:
                piece = b"c" + str_encode(hex_(v.real)) + b"," + str_encode(hex_(v.imag)) + b";"
            elif t in containers:
                piece = containers[t] + str_encode(repr_(len_(v))) + b":"
                stack.append(iter_(v))
            elif t in dictionaries and (keep is None or t in plain_dictionaries):
                piece = b"d" + str_encode(repr_(dict_len(v))) + b":"
                flat = []
                for pair in items_of(v):
                    flat += pair
                stack.append(iter_(flat))
            elif t is range:
                piece = b"r3:"
                stack.append(iter_((v.start, v.stop, v.step)))
            elif t in views:
                items = []
                for item in v:
                    items.append(item)
                    if len_(items) > ITEMS_MAX:
                        raise Unwritable("an iterator without end")
                piece = b"g" + str_encode(repr_(len_(items))) + b":"
                stack.append(iter_(items))
            elif keep is not None:
                parts = parts_of_(v, t)
                if parts is not None:
                    name = str_encode(parts[0])
                    piece = b"x%d:" % len_(name) + name
                    stack.append(iter_((parts[1],)))
                else:
                    kind, text = keep(v)
                    piece = kind + b"%d:" % len_(text) + text
            elif is_named_tuple_(t):
                items = [item for item in tuple_iter(v)]
                piece = b"t%d:" % len_(items)
                stack.append(iter_(items))
            else:
                raise Unwritable("a value of type " + name_of(t)[:100])
            total += len_(piece)
            if total > BYTES_MAX:
                raise Unwritable("a result that is too large")
            out.append(piece)
        return b"".join(out)

    return encode


def decode(data, references={}):
    """The value that `data` writes. Any exception for anything else. `references` has, by kind,
    what makes a value of a reference's text."""
    position = 0

    def until(mark):
        nonlocal position
        end = data.find(mark, position)
        if end < 0 or end - position > BYTES_MAX:
            raise ValueError("a mark is missing")
        piece = data[position:end]
        position = end + 1
        return piece

    def number(piece):
        if not piece.isdigit() or len(piece) > 9:
            raise ValueError("not a count")
        return int(piece)

    def take(size):
        nonlocal position
        if size > len(data) - position:
            raise ValueError("cut short")
        piece = data[position : position + size]
        position += size
        return piece

    def real(piece):
        return float.fromhex(piece.decode("ascii"))

    makers = {
        b"l": list, b"t": tuple, b"e": set, b"z": frozenset, b"g": iter,
        b"d": lambda items: dict(zip(items[0::2], items[1::2])), b"r": lambda items: range(*items),
    }
    stack = []  # [maker, items wanted, items]
    while True:
        kind = take(1)
        if kind == b"N":
            value = None
        elif kind == b"T":
            value = True
        elif kind == b"F":
            value = False
        elif kind == b"i":
            value = int(until(b";"))
        elif kind == b"f":
            value = real(until(b";"))
        elif kind == b"c":
            value = complex(real(until(b",")), real(until(b";")))
        elif kind == b"s":
            value = take(number(until(b":"))).decode("utf-8", "surrogatepass")
        elif kind == b"b":
            value = take(number(until(b":")))
        elif kind in references:
            value = references[kind](take(number(until(b":"))).decode("utf-8", "replace"))
        elif kind in makers or kind == b"x":
            wanted = number(until(b":")) * (2 if kind == b"d" else 1)
            maker = makers.get(kind)
            if kind == b"x":
                name, wanted = take(wanted).decode(), 1
                maker = lambda items, name=name: made_of(name, items[0])
            if wanted > len(data) - position or len(stack) >= DEPTH_MAX:
                raise ValueError("more items than bytes, or nested too deeply")
            stack.append([maker, wanted, []])
            value = stack  # Stands for "no value yet".
        else:
            raise ValueError("an unknown kind")
        # A finished value goes into the innermost open container, which may finish it in turn.
        while True:
            if value is not stack:
                if not stack:
                    if position != len(data):
                        raise ValueError("bytes after the value")
                    return value
                stack[-1][2].append(value)
            maker, wanted, items = stack[-1]
            if len(items) < wanted:
                break
            stack.pop()
            value = maker(items)


def write_all(fd, data, write=posix.write):
    view = memoryview(data)
    while view:
        view = view[write(fd, view) :]


def read_exactly(fd, size, read=posix.read):
    pieces = []
    while size > 0:
        piece = read(fd, min(size, 1 << 16))
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def read_message(fd, read=posix.read):
    """A message is its length in 8 hexadecimal digits and its bytes. None at the end."""
    head = read_exactly(fd, 8, read)
    if head is None:
        return None
    try:
        size = int(head, 16)
    except ValueError:
        return None
    return read_exactly(fd, size, read) if size <= BYTES_MAX else None


def write_message(fd, data, write=write_all):
    write(fd, b"%08x" % len(data) + data)


def one_line(text):
    return "".join(c if c.isprintable() else "?" for c in text[:300]).encode("ascii", "replace")


def describe(error):
    """What went wrong, without calling any method that foreign code may have written."""
    name = type.__dict__["__name__"].__get__(type(error))
    arguments = BaseException.__dict__["args"].__get__(error)
    message = arguments[0] if arguments and type(arguments[0]) is str else ""
    return one_line(name + (": " + message if message else ""))


# Names that solutions to well-known problem sets use without importing them.
USUAL_MODULES = (
    "math", "re", "sys", "os", "collections", "itertools", "functools", "heapq", "bisect", "string",
    "random", "copy", "operator", "statistics", "datetime", "json", "asyncio", "cmath",
)
USUAL_NAMES = {
    "typing": ("List", "Dict", "Tuple", "Set", "Optional", "Union", "Any", "Callable", "Iterable",
               "Iterator", "Sequence", "FrozenSet", "Deque", "DefaultDict"),
    "collections": ("defaultdict", "Counter", "deque", "OrderedDict", "namedtuple"),
    "functools": ("lru_cache", "cache", "reduce", "cmp_to_key"),
    "itertools": ("accumulate", "chain", "combinations", "permutations", "product", "groupby",
                  "zip_longest", "combinations_with_replacement", "pairwise", "islice"),
    "heapq": ("heappush", "heappop", "heapify", "nlargest", "nsmallest", "heappushpop"),
    "bisect": ("bisect_left", "bisect_right", "insort"),
    "math": ("gcd", "lcm", "sqrt", "inf", "ceil", "floor", "comb", "factorial", "isqrt", "log2"),
}


def names_in(code):
    """Every global name that the compiled code mentions, also inside its functions."""
    names = set()
    todo = [code]
    while todo:
        one = todo.pop()
        names.update(one.co_names)
        todo.extend(c for c in one.co_consts if type(c) is type(code))
    return names


def add_usual_names(code, scope):
    for name in sorted(names_in(code)):
        if name in scope:
            continue
        if name in USUAL_MODULES:
            scope[name] = __import__(name)
        else:
            for module, names in USUAL_NAMES.items():
                if name in names:
                    scope[name] = getattr(__import__(module), name)
                    break


def load(source):
    """A program, compiled. One of COMPILE_ERRORS where it cannot be: nothing has run then."""
    code = compile(source, "solution.py", "exec", dont_inherit=True)
    if not names_in(code).isdisjoint(("collections", "Counter", "OrderedDict", "defaultdict")):
        __import__("collections")
    return code


def read_file(path):
    fd = posix.open(path, posix.O_RDONLY)
    pieces = []
    while piece := posix.read(fd, 1 << 20):
        pieces.append(piece)
    posix.close(fd)
    return b"".join(pieces)


def new_module(name="solution"):
    """Globals for a program, registered as its module so that pickle and dataclasses find it."""
    import builtins

    module = type(sys)(name)
    builtins.exit = builtins.quit = sys.exit
    sys.modules[name] = module
    module.__dict__["__builtins__"] = builtins
    return module.__dict__


def silence_standard_streams():
    """What the program prints or reads from now on goes nowhere."""
    null = posix.open("/dev/null", posix.O_RDWR)
    posix.dup2(null, 0)
    posix.dup2(null, 1)
    posix.close(null)


COMPILE_ERRORS = (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError)
