// Messages between the head and a worker <-> envelopes.
#pragma once

#include "schemas/envelope.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe {

// An envelope with `schema` and `payload` filled; the caller adds job, epoch, request id and
// deadline. The message must be valid: texts and lists within the bounds of bounds.h, verdicts and
// jobs valid, tokens as many as their log-probabilities and masks. A failure's message is cut at
// kTextBytesMax.
Envelope seal(const ToWorker& message);
Envelope seal(const FromWorker& message);

// The message in an envelope. kCorruption unless its schema is one of this direction and its
// payload one whole message of it, with no negative token, masks of 0 and 1, known enumerators and
// valid verdicts. The bytes may come from any peer, so no input may crash, over-read or make this
// allocate much more than its size.
Result<ToWorker> open_to_worker(const Envelope& envelope);
Result<FromWorker> open_from_worker(const Envelope& envelope);

}  // namespace troupe
