"""A certificate for the cases over TLS."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

CERTIFICATE, KEY = "certificate.pem", "key.pem"


@functools.cache
def certificate_folder() -> str:
    """Return a folder with a new certificate for 127.0.0.1 and its key (P-256), which goes when this program ends."""
    folder = tempfile.mkdtemp(prefix="snakepit-bench-tls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    key, certificate = Path(folder, KEY), Path(folder, CERTIFICATE)
    # PKCS 8, as granian wants it
    make_key = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]
    subprocess.run(make_key, check=True, capture_output=True)
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    sign = ["openssl", "req", "-x509", "-key", key, "-days", "2", *names, "-out", certificate]
    subprocess.run(sign, check=True, capture_output=True)
    return folder
