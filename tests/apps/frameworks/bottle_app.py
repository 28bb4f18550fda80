from urllib.parse import parse_qs

from bottle import Bottle, request, response

app = Bottle()


@app.get("/hello/<name>")
def hello(name):
    return f"{request.query.greeting} {name}"


@app.post("/form")
def form():
    fields = parse_qs(request.body.read().decode())
    return {"length": len(fields["text"][0])}


@app.get("/stream")
def stream():
    response.content_type = "text/plain"
    for number in range(100):
        yield f"line {number}\n"


@app.post("/upload")
def upload():
    print("reading", flush=True)
    while request.environ["wsgi.input"].read(65536):
        pass
    return "whole"
