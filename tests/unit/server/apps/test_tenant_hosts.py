"""snakepit.server.apps.tenant_hosts: which hosts have an app by a route with a placeholder."""

from types import SimpleNamespace

import pytest

from snakepit.config import route
from snakepit.config.options import Config, RoutedApp
from snakepit.server.apps.tenant_hosts import has_tenant, leads_to_folder


def template(text, **options):
    found = route.read(text)
    return RoutedApp(text, found, Config("main:app", **options))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "file").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("host", "permitted"),
    [
        ("shop.example.com", True),
        ("gone.example.com", False),
        ("file.example.com", False),
        ("shop.example.org", False),
        ("example.com", False),
        ("shop.shop.example.com", False),
        ("..example.com", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("text", ["{tenant}.example.com", "{tenant}.example.com:8443", "{tenant}.example.com/api"])
def test_hosts(folder, host, permitted, text):
    templates = [template(text, app_dir=f"{folder}/{{tenant}}")]
    assert leads_to_folder(host, templates) is permitted


def test_where_any_label_would_do_none_does(folder):
    assert not leads_to_folder("shop.example.com", [template("{tenant}.example.com", app_dir=str(folder))])
    assert not leads_to_folder("shop.example.com", [template("example.com/{tenant}", app_dir=f"{folder}/{{tenant}}")])
    assert not leads_to_folder("shop.example.com", [template("*.example.com", app_dir=str(folder))])


def test_an_app_whose_other_folders_are_wrong_has_its_host(folder):
    options = {"app_dir": f"{folder}/{{tenant}}", "env_file": f"{folder}/{{tenant}}/gone"}
    assert leads_to_folder("shop.example.com", [template("{tenant}.example.com", **options)])


def test_templates_may_change(folder):
    assert has_tenant(SimpleNamespace(templates=[])) is None
    apps = SimpleNamespace(templates=[template("{tenant}.example.com", app_dir=f"{folder}/{{tenant}}")])
    permits = has_tenant(apps)
    assert permits("shop.example.com")
    apps.templates = []
    assert not permits("shop.example.com")
