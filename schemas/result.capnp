@0xf5ff24bfe1c20b7b;
# Why something was not done, as one process tells another.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

struct Failure {
  code @0 :UInt8;
  # A number of ErrorCode in schemas/result.h, which has no 0; one that the reader does not know
  # reads as kInternal.

  message @1 :Text;
}
