@0x84b2d6406f763488;
# What every message between processes is wrapped in.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant. `protocol` is raised only
# when an older program could misread what a newer one sends.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

struct Envelope {
  protocol @0 :UInt32;  # Any other than the reader's own is refused.
  job @1 :UInt64;
  epoch @2 :UInt64;  # Of the lease that the message belongs to; 0: before any.
  requestId @3 :UInt64;  # 0: nothing is asked or answered.
  deadlineMs @4 :Int64;  # The sender's patience, from sending on; 0: none.
  schema @5 :UInt64;  # Cap'n Proto's type id of the payload.
  payload @6 :Data;
}
