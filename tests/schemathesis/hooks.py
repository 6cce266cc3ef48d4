"""A request that is generated is one of its own, so a well-formed `Idempotency-Key` gets a value that no other has: a key
that comes again with another body is refused by design."""

import itertools
import re

import schemathesis

KEY = "Idempotency-Key"
numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    sent = (case.headers or {}).get(KEY)
    if sent is not None and re.fullmatch("[!-~]{1,255}", str(sent)):
        case.headers[KEY] = f"call-{next(numbers)}"
