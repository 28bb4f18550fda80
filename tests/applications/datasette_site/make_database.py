"""Makes the database that Datasette shows."""

import sqlite3

with sqlite3.connect("planets.db") as database:
    database.execute("CREATE TABLE planets (name TEXT PRIMARY KEY, moons INTEGER)")
    moons = {"Mercury": 0, "Venus": 0, "Earth": 1, "Mars": 2, "Jupiter": 97, "Saturn": 274, "Uranus": 28, "Neptune": 16}
    database.executemany("INSERT INTO planets VALUES (?, ?)", moons.items())
