"""A WSGI app with one small answer, and one of 10 MiB."""

SMALL = b"Hello, world!"
LARGE = b"x" * (10 * 2**20)


def app(environ, start_response):
    body = LARGE if environ["PATH_INFO"] == "/large" else SMALL
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
