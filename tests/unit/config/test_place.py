"""config.place: where configuration files are looked for."""

import tomllib

import pytest

from snakepit.config.place import candidates, may_have_table


def test_files_in_a_folder_and_above_it(tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    paths = [below / "pyproject.toml", tmp_path / "snakepit.toml", tmp_path / "pyproject.toml"]
    for path in paths:
        path.touch()
    (tmp_path / "a" / "snakepit.toml").mkdir()
    assert [path for path in candidates(str(below)) if path.startswith(str(tmp_path))] == [str(path) for path in paths]


def test_a_working_directory_that_is_gone():
    assert list(candidates("")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.snakepit]", True),
        ("[ tool . 'snakepit' ] # x", True),
        ('["tool".snakepit.limits]', True),
        ("[tool]\nsnakepit.port = 1", True),
        ("['tool']\nsnakepit = {port = 1}", True),
        ("tool.snakepit.port = 1", True),
        ("tool = {snakepit = {port = 1}}", True),
        ('"tool" = {snakepit = {port = 1}}', True),
        ("", False),
        ("[tool.other]", False),
        ("[project]\nname = 'snakepit'\n[tool.other]\npackages = ['snakepit']", False),
        ("[project.scripts]\nsnakepit = 'x'", False),
    ],
)
def test_tables(text, expected):
    assert may_have_table(text.encode()) is expected
    assert isinstance(tomllib.loads(text).get("tool", {}).get("snakepit"), dict) is expected
