import asyncio

from fasthtml.common import EventStream, Form, Input, Li, Titled, Ul, fast_app, sse_message

app, route, todos, Todo = fast_app(
    "todos.db", id=int, what=str, pk="id", render=lambda it: Li(it.what, id=f"todo-{it.id}")
)


@route("/")
def get():
    form = Form(Input(name="what"), hx_post="/", hx_target="#list", hx_swap="beforeend", method="post")
    return Titled("To do", form, Ul(*todos(), id="list"))


@route("/")
def post(what: str):
    return todos.insert(Todo(what=what))


async def ticks():
    while True:
        yield sse_message("tick")
        await asyncio.sleep(0.2)


@route("/ticks")
async def get_ticks():
    return EventStream(ticks())
