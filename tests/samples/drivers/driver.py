import sys

from verify import verify

secret, id, timestamp, signatures, body = sys.argv[1:]
print(str(verify(secret, id, timestamp, signatures, body.encode())).lower())
