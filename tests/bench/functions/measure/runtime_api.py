"""Lambda's Runtime API and Extensions API for one process."""

import json
import queue
import threading
import time
import uuid

from .server import Server

SECONDS = 20


class RuntimeApi:
    def __init__(self):
        self.invocations, self.answers, self.extension_events = queue.Queue(), queue.Queue(), queue.Queue()
        # Set while the runtime waits for an invocation, and the extension for an event, if there is one.
        self.runtime_waits, self.extension_waits = threading.Event(), threading.Event()
        self.has_extension = False
        self.server = Server(self.handle)
        self.address = self.server.address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

    def handle(self, method, path, headers, body):
        if path.endswith("/invocation/next"):
            self.polled = time.perf_counter()
            self.runtime_waits.set()
            request_id, event, deadline = self.invocations.get()
            return 200, {"lambda-runtime-aws-request-id": request_id, "lambda-runtime-deadline-ms": deadline,
                         "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:000000000000:function:measured",
                         "content-type": "application/json"}, event
        if path.endswith(("/response", "/error")):
            self.answers.put((time.perf_counter(), body))
            return 202, {}, b""
        if path.endswith("/extension/register"):
            self.has_extension = True
            return 200, {"lambda-extension-identifier": "measured", "content-type": "application/json"}, \
                json.dumps({"functionName": "measured", "functionVersion": "$LATEST", "handler": "bootstrap"}).encode()
        if path.endswith("/extension/event/next"):
            self.extension_waits.set()
            return 200, {"content-type": "application/json"}, self.extension_events.get()
        return 404, {}, b""

    def wait_until_ready(self, process=None):
        """When the runtime asked for its invocation. An environment is ready when its extension waits, too."""
        if not self.runtime_waits.wait(SECONDS):
            raise SystemExit(f"the function never asked for an invocation: {process and process.poll()}")
        if self.has_extension and not self.extension_waits.wait(SECONDS):
            raise SystemExit("the extension never asked for an event")
        return self.polled

    def invoke(self, event):
        """Milliseconds and the answer."""
        self.wait_until_ready()
        self.runtime_waits.clear()
        self.extension_waits.clear()
        request_id, deadline = str(uuid.uuid4()), int((time.time() + SECONDS) * 1000)
        if self.has_extension:
            self.extension_events.put(json.dumps({
                "eventType": "INVOKE", "deadlineMs": deadline, "requestId": request_id, "invokedFunctionArn": "arn",
                "tracing": {"type": "X-Amzn-Trace-Id", "value": ""}}).encode())
        began = time.perf_counter()
        self.invocations.put((request_id, event, deadline))
        ended, answer = self.answers.get(timeout=SECONDS)
        return (ended - began) * 1000, json.loads(answer)
