"""What the functions find: secrets, a practice in SQLite, a DynamoDB that knows one key, and certificates."""

import json
import secrets
import sqlite3
import ssl
import subprocess
from pathlib import Path

from emulator.environment import environment_of

from .dynamodb import answer
from .server import Server

# Where Linux keeps its root certificates: what a cold start reads them from is to be of the usual size.
BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]


class Surroundings:
    def __init__(self, template, folder):
        self.template = template
        self.token_key, self.admin_secret = secrets.token_hex(32), secrets.token_hex(32)
        practice = database(folder / "practice.sqlite", template.project / "shared/migrations/sqlite")
        catalog = database(folder / "catalog.sqlite", template.project / "shared/migrations/catalog/sqlite")
        with sqlite3.connect(practice) as connection:
            connection.execute("insert into tenant_identity (singleton, ppass) values (1, 'DemoOffice')")
        tls, self.roots = certificates(folder)
        self.store = Server(answer, tls)
        self.secrets = {
            "TOKEN_KEYS_SECRET": json.dumps({"active": "k1", "k1": self.token_key}),
            "ADMIN_SECRETS_SECRET": json.dumps({"current": self.admin_secret}),
            "CATALOG_DSN_SECRET": f"sqlite://{catalog}",
        }
        self.practice_dsn = f"sqlite://{practice}"

    def environment_of(self, name):
        """As the template gives it, with these secrets and stores."""
        variables = environment_of(name, self.template)
        for variable, value in self.secrets.items():
            if variable in variables:
                variables[variable] = f"env:{variable}_VALUE"
                variables[f"{variable}_VALUE"] = value
        endpoint = f"https://{self.store.address}"
        return variables | {
            "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
            "AWS_ENDPOINT_URL_SQS": endpoint,
            "DSN_DEMOOFFICE": self.practice_dsn,
            "METRICS_NAMESPACE": "Measured",
            "SSL_CERT_FILE": str(self.roots),
        }


def database(path, migrations):
    with sqlite3.connect(path) as connection:
        for migration in sorted(migrations.glob("*.sql")):
            connection.executescript(migration.read_text())
    return path


def certificates(folder):
    """A server's TLS, and a file of root certificates: the machine's and the one that the server's is signed by."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Measured")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "server.pem")
    bundle = next((Path(path) for path in BUNDLES if Path(path).exists()), None)
    roots = folder / "roots.pem"
    roots.write_text((bundle.read_text() if bundle else "") + (folder / "ca.pem").read_text())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem", folder / "server.key")
    return tls, roots
