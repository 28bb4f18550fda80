from flask import Flask, Response, jsonify, request, url_for

app = Flask(__name__)


@app.get("/hello/<name>")
def hello(name):
    return f"{request.args['greeting']} {name}"


@app.post("/form")
def form():
    request.max_form_memory_size = None
    return jsonify(length=len(request.form["text"]))


@app.get("/stream")
def stream():
    return Response(f"line {number}\n" for number in range(100))


@app.get("/where")
def where():
    return f"{request.remote_addr} {url_for('where', _external=True)}"


@app.post("/upload")
def upload():
    print("reading", flush=True)
    while request.stream.read(65536):
        pass
    return "whole"
