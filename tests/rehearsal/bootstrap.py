"""A proxy between a function and the emulator's Runtime API, which lacks the Extensions API: answers an extension's calls, forwards the others.

In the bundle it is `bootstrap`, with `PROGRAM` replaced by the path of the function's binary.
"""

import http.client
import http.server
import os
import queue
import subprocess
import sys
import threading

PROGRAM = "@PROGRAM@"
RUNTIME = os.environ["AWS_LAMBDA_RUNTIME_API"]
# Each invocation is also an event for the extension.
INVOCATIONS = queue.Queue()


class Forwarder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self):
        body = self.body()
        if self.path.endswith("/extension/register"):
            return self.answer(200, [("Lambda-Extension-Identifier", "1"), ("Content-Type", "application/json")],
                               b'{"functionName": "f", "functionVersion": "1", "handler": "bootstrap", "accountId": "000000000000"}')
        if self.path.endswith("/extension/event/next"):
            return self.answer(200, [("Lambda-Extension-Event-Identifier", "1"), ("Content-Type", "application/json")], INVOCATIONS.get())
        upstream = http.client.HTTPConnection(RUNTIME)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("transfer-encoding", "host", "content-length")}
        upstream.request(self.command, self.path, body=body if self.command == "POST" else None, headers=headers)
        reply = upstream.getresponse()
        content = reply.read()
        if self.path.endswith("/invocation/next") and reply.status == 200:
            request, deadline = reply.getheader("Lambda-Runtime-Aws-Request-Id"), reply.getheader("Lambda-Runtime-Deadline-Ms", "0")
            INVOCATIONS.put(f'{{"eventType": "INVOKE", "deadlineMs": {deadline}, "requestId": "{request}", "invokedFunctionArn": "arn", '
                            f'"tracing": {{"type": "X-Amzn-Trace-Id", "value": "Root=1"}}}}'.encode())
        self.answer(reply.status, reply.getheaders(), content)

    do_GET = do_POST = handle_one


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forwarder)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.exit(subprocess.run([PROGRAM], env=os.environ | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}, check=False).returncode)
