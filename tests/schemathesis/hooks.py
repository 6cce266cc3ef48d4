"""What a schema can't tell: which ids exist, which key is somebody's, which time is free. Of the well-formed requests every
other one gets such values from the file that `run` made; the others stay as they were generated. And what each operation
was answered is counted, for `run` to see that each was reached."""

import atexit
import collections
import itertools
import json
import os
import random
import re
import uuid

import schemathesis

KEY = "Idempotency-Key"
# Another run against the same stack must not come again with the keys of this one.
PREFIX = uuid.uuid4().hex[:12]
numbers = itertools.count(1)
# Apart from what is generated, so that this file changes none of it.
choice = random.Random(20260309)
with open(os.environ["KNOWN_FILE"]) as file:
    known = json.load(file)
seen = collections.defaultdict(collections.Counter)


@schemathesis.hook
def before_call(context, case, kwargs):
    sent = (case.headers or {}).get(KEY)
    # A key that comes again with another body is refused by design: each request is one of its own.
    if sent is not None and re.fullmatch("[!-~]{1,255}", str(sent)):
        case.headers[KEY] = f"call-{PREFIX}-{next(numbers)}"
    if case.meta is None or case.meta.generation.mode.is_negative or choice.random() < 0.5:
        return
    # The stateful phase takes its ids from the answers before.
    ids = known["paths"].get(case.operation.label, []) if case.meta.phase.name.value != "stateful" else []
    if ids:
        case.path_parameters.update(choice.choice(ids))
    fields = known["bodies"].get(case.operation.label)
    if fields and isinstance(case.body, dict):
        # Each of them is used once, e.g. a free time.
        case.body.update(fields.pop(0) if len(fields) > 1 else fields[0])


@schemathesis.hook
def after_call(context, case, response):
    seen[case.operation.label][response.status_code] += 1


@atexit.register
def tell():
    with open(os.environ["SEEN_FILE"], "w") as file:
        json.dump(seen, file, indent=1)
