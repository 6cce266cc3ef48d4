"""Calls a sample that verifies signatures, with right and wrong ones."""

import base64
import hashlib
import hmac
import time

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = '{"eventId":"DemoOffice-4711","note":"Weiß"}'
# How to call the driver of a language, beside the stored sample.
DRIVERS = {
    "javascript": ("driver.mjs", [["node", "driver.mjs"]]),
    "python": ("driver.py", [["python3", "driver.py"]]),
    "php": ("driver.php", [["php", "driver.php"]]),
    "ruby": ("driver.rb", [["ruby", "driver.rb"]]),
    "go": ("driver.go", [["go", "build", "-o", "go-driver", "driver.go", "verify.go"], ["./go-driver"]]),
    "csharp": ("Driver.cs", [["mcs", "-out:driver.exe", "Driver.cs", "Webhook.cs"], ["mono", "driver.exe"]]),
}


def sign(secret: str, id: str, timestamp: str, body: str) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def cases() -> list:
    """Name, id, timestamp, signatures, body, and whether the sample must accept them."""
    now = int(time.time())
    at = str(now)
    right = sign(SECRET, "msg_1", at, BODY)
    old, early = str(now - 400), str(now + 400)
    return [
        ("right", "msg_1", at, right, BODY, True),
        ("two signatures, the second one right", "msg_1", at, f"{sign(OTHER, 'msg_1', at, BODY)} {right}", BODY, True),
        ("an unknown version beside the right one", "msg_1", at, f"v2,AAAA {right}", BODY, True),
        ("another secret", "msg_1", at, sign(OTHER, "msg_1", at, BODY), BODY, False),
        ("another body", "msg_1", at, right, BODY.replace("4711", "4712"), False),
        ("another id", "msg_2", at, right, BODY, False),
        ("another version", "msg_1", at, right.replace("v1,", "v2,"), BODY, False),
        ("too old", "msg_1", old, sign(SECRET, "msg_1", old, BODY), BODY, False),
        ("too early", "msg_1", early, sign(SECRET, "msg_1", early, BODY), BODY, False),
        ("no time", "msg_1", "soon", sign(SECRET, "msg_1", "soon", BODY), BODY, False),
        ("no signature", "msg_1", at, "", BODY, False),
        ("a shorter signature", "msg_1", at, right[:-4], BODY, False),
    ]


def check(language, folder, drivers, run) -> None:
    name, (*builds, program) = DRIVERS[language]
    (folder / name).write_text((drivers / name).read_text())
    for build in builds:
        run(build, folder)
    for case, id, timestamp, signatures, body, accepted in cases():
        said = run([*program, SECRET, id, timestamp, signatures, body], folder).strip()
        if said != str(accepted).lower():
            raise ValueError(f"{language}: {case}: the sample said {said!r}")
