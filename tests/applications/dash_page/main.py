from dash import Dash, Input, Output, callback, dcc, html

dash = Dash(__name__)
dash.layout = html.Div(
    [
        dcc.Input(id="name", value=""),
        html.P(id="greeting"),
        dcc.Interval(id="clock", interval=200),
        html.P(id="ticks"),
    ]
)
server = dash.server


@callback(Output("greeting", "children"), Input("name", "value"))
def greet(name):
    return f"Hello, {name}!" if name else "Who are you?"


@callback(Output("ticks", "children"), Input("clock", "n_intervals"))
def count(ticks):
    return f"{ticks or 0} ticks"
