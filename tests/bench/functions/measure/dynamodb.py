"""A DynamoDB that holds one API key, its partner and its practice, and takes every write; an SQS that takes all messages."""

import json

from boto3.dynamodb.types import TypeSerializer

KEY_ID, PARTNER_ID = "MeasuredKey1", "prt_measured"
SCOPES = ["Prospects", "Providers", "Scheduling", "ProductPro.Products", "KB", "Tickets", "Patients", "Encounters", "Claims", "Payments", "Documents"]
BEGAN = "2026-01-01T00:00:00Z"

ITEMS = {
    f"KEY#{KEY_ID}": {
        "id": KEY_ID, "name": "Measured", "partnerId": PARTNER_ID, "partner": "Measured", "practicepass": "DemoOffice", "scopes": SCOPES,
        "prefix": f"op_live_{KEY_ID}", "secretHash": "", "status": "active", "version": 1, "allowedCidrs": [], "rateLimit": 100000,
        "createdAt": BEGAN, "revision": 1,
    },
    f"PARTNER#{PARTNER_ID}": {"id": PARTNER_ID, "company": "Measured", "status": "active", "createdAt": BEGAN, "updatedAt": BEGAN, "version": 1},
    "PRACTICE#DemoOffice": {"practicepass": "DemoOffice", "name": "Demo", "timeZone": "America/New_York", "dsnSecret": "env:DSN_DEMOOFFICE"},
}


def answer(_method, _path, headers, body):
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    request = json.loads(body or b"{}")
    result = {}
    if operation == "GetItem":
        item = ITEMS.get(request["Key"]["pk"]["S"])
        result = {"Item": TypeSerializer().serialize(item)["M"]} if item else {}
    elif operation in ("Query", "Scan"):
        result = {"Items": [], "Count": 0, "ScannedCount": 0}
    elif operation == "SendMessageBatch":
        result = {"Successful": [{"Id": one["Id"], "MessageId": one["Id"], "MD5OfMessageBody": ""} for one in request["Entries"]], "Failed": []}
    return 200, {"content-type": "application/x-amz-json-1.0"}, json.dumps(result).encode()
