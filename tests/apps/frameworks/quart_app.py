from quart import Quart, jsonify, request

app = Quart(__name__)
app.config["MAX_FORM_MEMORY_SIZE"] = None


@app.get("/hello/<name>")
async def hello(name):
    return f"{request.args['greeting']} {name}"


@app.post("/form")
async def form():
    return jsonify(length=len((await request.form)["text"]))


@app.get("/stream")
async def stream():
    async def lines():
        for number in range(100):
            yield f"line {number}\n"

    return lines()
