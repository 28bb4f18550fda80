"""snakepit.config.acme: options for automatic HTTPS, and what they change of others."""

import pytest

from snakepit.config.acme import LETS_ENCRYPT
from snakepit.config.options import Config
from snakepit.errors import ConfigError

APP = "main:app"


def test_domains_in_their_one_form():
    config = Config(APP, domain=("Example.com,www.example.com", "example.com.", "bücher.example"))
    assert config.domain == ("example.com", "www.example.com", "xn--bcher-kva.example")
    assert config.speaks_tls
    assert config.acme_directory == (LETS_ENCRYPT,)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, ("127.0.0.1", 8000, None)),
        ({"domain": ("example.com",)}, ("", 443, 80)),
        ({"domain": ("example.com",), "host": "10.0.0.1"}, ("10.0.0.1", 443, 80)),
        ({"domain": ("example.com",), "port": 8443}, ("", 8443, None)),
        ({"domain": ("example.com",), "port": 8443, "redirect_http": 8080}, ("", 8443, 8080)),
        ({"domain": ("example.com",), "redirect_http": 8080}, ("", 443, 8080)),
        ({"domain": ("localhost",)}, ("127.0.0.1", 443, 80)),
        ({"domain": ("localhost", "127.0.0.1"), "port": 8443}, ("127.0.0.1", 8443, None)),
        ({"domain": ("localhost", "example.com")}, ("", 443, 80)),
        ({"domain": ("::1",)}, ("::1", 443, 80)),
        ({"domain": ("localhost", "::1")}, ("localhost", 443, 80)),
        ({"domain": ("localhost", "192.0.2.7")}, ("", 443, 80)),
        ({"domain": ("example.com",), "uds": "/run/x.sock"}, ("", 443, None)),
        ({"domain": ("example.com",), "fd": 0}, ("", 443, None)),
        ({"domain": ("example.com",), "bind": ("[::]:8443",)}, ("", 443, None)),
    ],
)
def test_where_it_listens(given, place):
    config = Config(APP, **given)
    assert (config.host, config.port, config.redirect_http) == place
    again = config.with_workers(2)
    assert (again.host, again.port, again.redirect_http, again.domain) == (*place, config.domain)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"domain": ("*.example.com",)}, r"domain '\*\.example\.com' can't be used: .* DNS challenges"),
        ({"domain": ("https://example.com",)}, "neither a domain nor an IP address"),
        ({"domain": ("example.com",), "acme_email": "ops"}, "acme_email must be one e-mail address"),
        ({"domain": ("example.com",), "acme_email": "a@b.c,d@e.f"}, "acme_email must be one e-mail address"),
        ({"domain": ("example.com",), "acme_email": "mailto:a@b.c?x"}, "acme_email must be one e-mail address"),
        ({"domain": ("example.com",), "acme_directory": ("http://ca.test/dir",)}, "must be the https URL"),
        ({"domain": ("example.com",), "acme_directory": ("ca.test",)}, "must be the https URL"),
        ({"domain": ("example.com",), "acme_eab": ("secret",)}, "acme_eab must be KID:KEY, as the CA gives them"),
        ({"domain": ("example.com",), "acme_eab": ("a:b", "c:d")}, "more acme_eab than acme_directory"),
        ({"domain": ("example.com",), "acme_ask": "localhost"}, "acme_ask must be a URL"),
        ({"domain": ("",)}, "domain is empty: leave it out, or name one"),
        ({"domain": (" ", ",")}, "domain is empty: leave it out, or name one"),
        ({"acme_email": "ops@example.com"}, "acme_email needs a domain"),
        ({"acme_eab": ("a:b",)}, "acme_eab needs a domain"),
        ({"acme_folder": "/x"}, "acme_folder needs a domain"),
        ({"acme_ask": "http://localhost/"}, "acme_ask needs a domain"),
        ({"hsts": 60}, "hsts needs a certificate: ssl_certfile or domain"),
    ],
)
def test_what_can_t_be(given, reason):
    with pytest.raises(ConfigError, match=reason) as raised:
        Config(APP, **given)
    assert "secret" not in str(raised.value)


def test_hsts_with_a_domain():
    assert Config(APP, domain=("example.com",), hsts=60).hsts == 60


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(APP, domain=("example.com",), acme_folder="acme", acme_ca_certs="ca.pem")
    assert (config.acme_folder, config.acme_ca_certs) == (str(tmp_path / "acme"), str(tmp_path / "ca.pem"))
