"""Reads what a server tells of its metrics."""

from prometheus_client.parser import text_string_to_metric_families as parse_text


class Scraped:
    """Samples by their names and labels."""

    def __init__(self, families):
        self.kinds = {}
        self.values = {}
        for family in families:
            assert family.name not in self.kinds, "each is there once"
            self.kinds[family.name] = family.type
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.values, key
                self.values[key] = sample.value

    def get(self, name, **labels):
        return self.values.get((name, frozenset(labels.items())))

    def sum(self, name, **labels):
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.values.items() if found == name and wanted <= has)


def scrape(server, path="/metrics"):
    answer = server.get(path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Scraped(parse_text(answer.text))
