import gradio
from fastapi import FastAPI


def greet(name, times):
    return ", ".join([f"Hello {name}"] * int(times))


demo = gradio.Interface(greet, [gradio.Textbox(label="Name"), gradio.Slider(1, 5, value=2, step=1)], "text")
app = gradio.mount_gradio_app(FastAPI(), demo, path="/")
