from datasette.app import Datasette

app = Datasette(["planets.db"]).app()
