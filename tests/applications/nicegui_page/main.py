from fastapi import FastAPI
from nicegui import ui

app = FastAPI()


@ui.page("/")
def counter():
    label = ui.label("0 clicks")
    clicks = 0

    def count():
        nonlocal clicks
        clicks += 1
        label.text = f"{clicks} clicks"

    ui.button("Click", on_click=count)


ui.run_with(app)
