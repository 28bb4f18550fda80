"""config.tls: certificates from the command line, from files and in code."""

from dataclasses import replace

import pytest

from snakepit.config import file as config_file
from snakepit.config.options import Config
from snakepit.config.tls import TlsCertificate
from snakepit.errors import ConfigError

APP = "main:app"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a.pem", "a.key", "b.pem", "ca.pem"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def from_file(folder, text, given=None):
    (folder / "snakepit.toml").write_text(text, encoding="utf-8")
    return Config.resolve(APP, given or {}, config_file.wanted())


def trouble_in_file(folder, text):
    with pytest.raises(ConfigError) as caught:
        from_file(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def trouble(**options):
    with pytest.raises(ConfigError) as caught:
        Config(APP, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_tls(folder):
    config = Config(APP)
    assert config.tls == ()
    assert not config.speaks_tls


def test_both_ways_make_the_same(folder):
    expected = (TlsCertificate(certfile=str(folder / "a.pem"), keyfile=str(folder / "a.key")),)
    by_options = Config(APP, ssl_certfile="a.pem", ssl_keyfile="a.key")
    by_code = Config(APP, tls=(TlsCertificate(certfile="a.pem", keyfile="a.key"),))
    keys_of_options = from_file(folder, "ssl-certfile = 'a.pem'\nssl_keyfile = 'a.key'\n")
    by_tables = from_file(folder, "[[tls]]\ncertfile = 'a.pem'\nkeyfile = 'a.key'\n")
    assert by_options.tls == by_code.tls == keys_of_options.tls == by_tables.tls == expected
    assert by_options.speaks_tls


def test_several(folder):
    text = (
        "ssl-certfile = 'a.pem'\n"
        "[[tls]]\ncertfile = 'b.pem'\nkeyfile_password = 'secret'\nnames = ['Example.COM', '*.example.com', '::1']\n"
        "[[tls]]\ncertfile = 'ca.pem'\n"
    )
    first, second, third = from_file(folder, text).tls
    assert [each.certfile for each in (first, second, third)] == [
        str(folder / name) for name in ("a.pem", "b.pem", "ca.pem")
    ]
    assert second.keyfile is None
    assert second.keyfile_password == "secret"
    assert second.names == ("example.com", "*.example.com", "::1")
    assert str(first) == str(folder / "a.pem")
    assert str(second) == f"{folder / 'b.pem'} for example.com, *.example.com, ::1"


def test_one_file_for_several_hosts(folder):
    """A table with the file of ssl_certfile is another certificate, if it says anything else."""
    again = TlsCertificate(certfile="a.pem", names=("more.test",))
    config = Config(APP, ssl_certfile="a.pem", tls=(again,))
    assert [each.names for each in config.tls] == [(), ("more.test",)]
    assert replace(config, port=1).tls == config.tls


def test_paths_start_from_the_file(folder, monkeypatch):
    (folder / "snakepit.toml").write_text("[[tls]]\ncertfile = 'a.pem'\n")
    monkeypatch.chdir(folder / "folder")
    config = Config.resolve(APP, {}, config_file.wanted(str(folder / "snakepit.toml")))
    assert config.tls[0].certfile == str(folder / "a.pem")


def test_a_password_is_not_shown(folder):
    certificate = TlsCertificate(certfile="a.pem", keyfile_password="secret")
    config = Config(APP, ssl_certfile="a.pem", ssl_keyfile_password="secret", tls=(certificate,))
    assert "secret" not in f"{certificate} {certificate!r} {config!r} {config}"
    with pytest.raises(ConfigError) as caught:
        TlsCertificate(certfile="a.pem", keyfile_password=12345)
    assert str(caught.value) == "keyfile_password must be text, not ***"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ssl_certfile": "missing.pem"}, "ssl_certfile: missing.pem does not exist"),
        ({"ssl_certfile": "folder"}, "ssl_certfile: folder is not a file"),
        ({"ssl_certfile": "a.pem", "ssl_keyfile": "gone"}, "ssl_keyfile: gone does not exist"),
        ({"ssl_keyfile": "a.key"}, "ssl_keyfile needs ssl_certfile"),
        ({"ssl_keyfile_password": "x"}, "ssl_keyfile_password needs ssl_certfile"),
        ({"redirect_http": 80}, "redirect_http needs a certificate: ssl_certfile or domain"),
        ({"hsts": 3600}, "hsts needs a certificate: ssl_certfile or domain"),
        ({"ssl_ca_certs": "ca.pem"}, "ssl_ca_certs needs a certificate: ssl_certfile or domain"),
        ({"ssl_certfile": "a.pem", "ssl_ca_certs": "gone"}, "ssl_ca_certs: gone does not exist"),
        (
            {"ssl_certfile": "a.pem", "ssl_cert_reqs": "required"},
            "ssl_cert_reqs needs ssl_ca_certs: whom else should be believed?",
        ),
        ({"ssl_cert_reqs": 2}, "ssl_cert_reqs must be one of none, optional, required, not 2"),
        ({"ssl_version": 17}, "ssl_version must be one of TLSv1.2, TLSv1.3, not 17"),
        ({"ssl_version": "TLSv1.1"}, "ssl_version must be one of TLSv1.2, TLSv1.3, not 'TLSv1.1'"),
        ({"ssl_handshake_timeout": 0}, "ssl_handshake_timeout must be at least 0.1, not 0"),
        ({"tls": "a.pem"}, "tls must be TlsCertificate, several of them in a tuple, not 'a.pem'"),
        ({"tls": ("a.pem",)}, "tls must be TlsCertificate, several of them in a tuple, not ('a.pem',)"),
    ],
)
def test_what_is_wrong(folder, options, message):
    assert trouble(**options) == message


@pytest.mark.parametrize("names", [("",), ("a b",), ("*",), ("*.",), ("a.*.b",), ("https://a.test",), ("a.test:443",)])
def test_what_is_no_name(folder, names):
    with pytest.raises(ConfigError) as caught:
        TlsCertificate(certfile="a.pem", names=names)
    expected = f"names must be hosts, such as www.example.com or *.example.com, not {names[0]!r}"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tls]\ncertfile = 'a.pem'\n", "snakepit.toml:1: tls must be tables: write [[tls]], and below it certfile"),
        ("[[tls]]\n", "snakepit.toml:1: [[tls]] needs certfile = ..."),
        ("[[tls]]\ncertfile = 'gone'\n", "snakepit.toml:2: tls.certfile: {folder}/gone does not exist"),
        ("[[tls]]\ncertfile = 'a.pem'\nkeyfile = 'gone'\n", "snakepit.toml:3: tls.keyfile: {folder}/gone does not"),
        ("[[tls]]\ncertfile = 'a.pem'\nnames = ['a b']\n", "snakepit.toml:3: tls.names: names must be hosts, such as"),
        ("[[tls]]\ncertfile = 'a.pem'\nnames = 'a'\n", "snakepit.toml:3: tls.names must be a list of texts"),
        ("[[tls]]\ncertfile = 'a.pem'\nkey = 'a'\n", "snakepit.toml:3: "),
        ("[[tls]]\ncertfile = 7\n", "snakepit.toml:2: tls.certfile must be text"),
        ("[[tls]]\ncertfile = 'a.pem'\nkeyfile_password = 123456\n", '; write keyfile_password = "..."'),
        ("ssl-keyfile-password = pass123456\n", '; write ssl-keyfile-password = "..."'),
    ],
)
def test_what_is_wrong_in_a_file(folder, text, message):
    found = trouble_in_file(folder, text)
    assert message.format(folder=folder) in found
    assert "123456" not in found


def test_the_working_directory_may_change(folder, monkeypatch):
    config = Config(APP, ssl_certfile="a.pem", ssl_ca_certs="ca.pem", ssl_cert_reqs="optional")
    monkeypatch.chdir(folder / "folder")
    assert config.tls[0].certfile == str(folder / "a.pem")
    assert config.ssl_ca_certs == str(folder / "ca.pem")
