"""snakepit.acme with a real CA (Pebble): accounts, challenges, renewal, and everything that it may refuse."""

import asyncio
import json
import logging
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from acme_stage import Stage, StandIn, answering_alpn, answering_http, handshake
from pebble import EXTERNAL, running_pebble
from support import ONE_RUNTIME

from snakepit.acme.issuers import Authority
from snakepit.acme.jws import from_base64url
from snakepit.acme.manager import CertificateManager
from snakepit.acme.problems import AcmeStopped
from snakepit.acme.session import ExternalAccount

pytestmark = ONE_RUNTIME

NAME = "example.test"


@pytest.fixture(scope="module")
def pebble(tmp_path_factory):
    with running_pebble(tmp_path_factory.mktemp("pebble"), nonce_reject=25) as found:
        yield found


@pytest.fixture
def stage(pebble, tmp_path):
    return Stage(tmp_path / "store", pebble.trust, [Authority(pebble.directory)])


@pytest.fixture
def answering(pebble, stage):
    with answering_http(pebble.http_port, stage.answers):
        yield


def subjects(found):
    return found["subjectAltName"]


def test_a_certificate_by_http(pebble, stage, answering):
    visit = stage.keeper.wait_visit(NAME, 0)
    assert visit.fault is None
    assert visit.issued
    assert subjects(handshake(visit.stored.path, NAME, pebble.roots())) == (("DNS", NAME),)
    assert visit.stored.details.challenge == "http-01"
    assert list((stage.store.path / "challenges").iterdir()) == []


def test_a_certificate_by_tls(pebble, tmp_path):
    stage = Stage(tmp_path / "store", pebble.trust, [Authority(pebble.directory)], kinds=("tls-alpn-01",))
    with answering_alpn(pebble.tls_port, stage.answers):
        visit = stage.keeper.wait_visit(NAME, 0)
    assert visit.fault is None
    assert subjects(handshake(visit.stored.path, NAME, pebble.roots())) == (("DNS", NAME),)


def test_where_one_challenge_fails_the_other_is_tried_and_remembered(pebble, tmp_path):
    authorities = [Authority(pebble.directory)]
    stage = Stage(tmp_path / "store", pebble.trust, authorities, kinds=("http-01", "tls-alpn-01"))
    with answering_alpn(pebble.tls_port, stage.answers):
        visit = stage.keeper.wait_visit(NAME, 0)
        assert visit.fault is None
        assert visit.stored.details.challenge == "tls-alpn-01"
        again = stage.keeper.wait_visit(NAME, 0, renew=True)
    assert again.stored.chain != visit.stored.chain
    assert again.stored.details.challenge == "tls-alpn-01"


def test_a_name_that_does_not_lead_here(pebble, stage):
    visit = stage.keeper.wait_visit(NAME, 0)
    assert visit.stored is None
    assert "127.0.0.1: the CA did not find this server at example.test (http-01)" in str(visit.fault)
    assert "connection" in str(visit.fault) or "refused" in str(visit.fault)


def test_the_account_is_kept(pebble, stage, answering):
    stage.keeper.wait_visit("one.test", 0)
    account = stage.store.account(pebble.directory)
    stage.keeper.wait_visit("two.test", 0)
    assert stage.store.account(pebble.directory).url == account.url != ""


def test_the_account_is_found_by_its_key(pebble, stage, answering):
    stage.keeper.wait_visit("one.test", 0)
    account = stage.store.account(pebble.directory)
    stage.store.put_account(pebble.directory, replace(account, url=""))
    assert stage.keeper.wait_visit("two.test", 0).fault is None
    assert stage.store.account(pebble.directory).url == account.url


def test_an_account_that_the_ca_has_forgotten_is_registered_again(pebble, stage, answering):
    stage.keeper.wait_visit("one.test", 0)
    account = stage.store.account(pebble.directory)
    stage.store.put_account(pebble.directory, replace(account, url=account.url + "gone"))
    assert stage.keeper.wait_visit("two.test", 0).fault is None
    assert stage.store.account(pebble.directory).url == account.url


def test_another_mail_address_is_told_to_the_ca(pebble, stage, tmp_path, answering):
    stage.keeper.wait_visit("one.test", 0)
    url = stage.store.account(pebble.directory).url
    other = Stage(tmp_path / "store", pebble.trust, [Authority(pebble.directory)], contact="ops@example.com")
    assert other.keeper.wait_visit("one.test", 0, renew=True).fault is None
    account = other.store.account(pebble.directory)
    assert (account.url, account.contact) == (url, "ops@example.com")


def test_a_ca_that_accepts_only_customers(tmp_path):
    identifier, key = EXTERNAL
    with running_pebble(tmp_path, external=True) as pebble:
        without = Stage(tmp_path / "without", pebble.trust, [Authority(pebble.directory)])
        visit = without.keeper.wait_visit(NAME, 0)
        assert "it needs an external account" in str(visit.fault)
        authority = Authority(pebble.directory, ExternalAccount(identifier, from_base64url(key)))
        customer = Stage(tmp_path / "with", pebble.trust, [authority])
        with answering_http(pebble.http_port, customer.answers):
            assert customer.keeper.wait_visit(NAME, 0).fault is None


def test_a_second_ca_where_the_first_can_t_be_reached(pebble, tmp_path):
    authorities = [Authority("https://127.0.0.1:9/dir"), Authority(pebble.directory)]
    stage = Stage(tmp_path / "store", pebble.trust, authorities)
    with answering_http(pebble.http_port, stage.answers):
        visit = stage.keeper.wait_visit(NAME, 0)
    assert visit.fault is None
    assert visit.stored.details.directory == pebble.directory


def test_a_ca_that_is_not_trusted(pebble, tmp_path):
    stage = Stage(tmp_path / "store", None, [Authority(pebble.directory)])
    visit = stage.keeper.wait_visit(NAME, 0)
    assert "certificate verify failed" in str(visit.fault)


def test_two_processes_that_share_a_store_obtain_one_certificate(pebble, stage, tmp_path, answering):
    other = Stage(tmp_path / "store", pebble.trust, [Authority(pebble.directory)])
    visits = []
    threads = [
        threading.Thread(target=lambda one=one: visits.append(one.keeper.wait_visit(NAME, 0))) for one in (stage, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = visits
    assert first.stored.chain == second.stored.chain
    assert sorted(visit.issued for visit in visits) == [False, True]


class Clock:
    """The time, as far as clients know it: that of the certificate in their store."""

    now = 0.0

    def __call__(self):
        return self.now


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@pytest.fixture
def stand_in(pebble):
    with StandIn(pebble).running(pebble.trust.with_suffix(".key")) as found:
        yield found


def test_the_ca_says_when_to_renew(pebble, stand_in, tmp_path):
    clock = Clock()
    stage = Stage(
        tmp_path / "store", pebble.trust, [Authority(stand_in.directory)], now=clock, choose=lambda a, b: (a + b) / 2
    )
    clock.now = time.time()
    start = clock.now + 86400
    stand_in.window = moment(start), moment(start + 7200)
    with answering_http(pebble.http_port, stage.answers):
        visit = stage.keeper.wait_visit(NAME, 0)
        assert visit.fault is None
        first = visit.stored.chain
        assert visit.again == pytest.approx(clock.now + 3600)  # Retry-After
        assert stand_in.asked == [first.identifier]
        assert stage.keeper.wait_visit(NAME, 0).again == visit.again
        assert len(stand_in.asked) == 1  # the store knows it
        clock.now += 3601
        assert stage.keeper.wait_visit(NAME, 0).stored.chain == first
        assert len(stand_in.asked) == 2
        stand_in.retry_after = "86400"
        clock.now = start - 1
        assert stage.keeper.wait_visit(NAME, 0).again == pytest.approx(start + 3600, abs=1)  # the middle of the window
        clock.now = start + 3601
        visit = stage.keeper.wait_visit(NAME, 0)
    assert visit.issued
    assert visit.stored.chain != first
    assert stand_in.replaced == [None, first.identifier]


@pytest.mark.parametrize("kind", ["alreadyReplaced", "malformed"])
def test_an_order_whose_predecessor_the_ca_does_not_accept(pebble, stand_in, tmp_path, kind):
    stage = Stage(tmp_path / "store", pebble.trust, [Authority(stand_in.directory)])
    stand_in.window = "2300-01-01T00:00:00Z", "2300-01-02T00:00:00Z"
    stand_in.refuses = (kind,)
    with answering_http(pebble.http_port, stage.answers):
        visit = stage.keeper.wait_visit(NAME, 0)
        assert visit.fault is None
        first = visit.stored.chain.identifier
        assert stage.keeper.wait_visit(NAME, 0, renew=True).issued
    assert stand_in.replaced == [None, first, None]


def test_without_a_suggestion_it_is_renewed_at_one_third(pebble, stand_in, tmp_path):
    stage = Stage(tmp_path / "store", pebble.trust, [Authority(stand_in.directory)])
    with answering_http(pebble.http_port, stage.answers):
        visit = stage.keeper.wait_visit(NAME, 0)
    assert visit.fault is None
    assert len(stand_in.asked) == 1


def test_a_certificate_of_a_ca_that_is_not_to_be_used_any_more_is_replaced(pebble, stand_in, tmp_path):
    first = Stage(tmp_path / "store", pebble.trust, [Authority(pebble.directory)])
    with answering_http(pebble.http_port, first.answers):
        old = first.keeper.wait_visit(NAME, 0).stored
    second = Stage(tmp_path / "store", pebble.trust, [Authority(stand_in.directory)])
    assert second.keeper.load(NAME).chain == old.chain
    with answering_http(pebble.http_port, second.answers):
        visit = second.keeper.wait_visit(NAME, 0)
    assert visit.issued
    assert stand_in.replaced == [None]  # it is no business of this CA


class Installed:
    """Notes what it is told to serve."""

    def __init__(self):
        self.names = []

    def prepare(self, name, path):
        return path.read_bytes()

    def installed(self, name, prepared):
        assert b"PRIVATE KEY" in prepared
        self.names.append(name)

    def obtained(self, name, renewed, text):
        pass

    def failed(self, name, text):
        pass


def test_many_names_at_once_and_one_that_fails(pebble, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="snakepit.server")
    good = [f"host-{number}.test" for number in range(9)]

    async def run():
        stage = Stage(tmp_path / "store", pebble.trust, [Authority(pebble.directory)])
        sink = Installed()
        manager = CertificateManager(
            asyncio.get_running_loop(), [*good, "localhost", "under_score.test"], stage.keeper, sink, stage.stop
        )
        with ExitStack() as stack:
            stack.enter_context(answering_http(pebble.http_port, stage.answers))
            stack.callback(manager.close)
            await manager.wait_loaded()
            got = await asyncio.gather(*map(manager.wait_certificate, [*good, "localhost"]))
            assert got == [True] * 10
            assert sorted(sink.names) == sorted([*good, "localhost"])
            assert (await manager.wait_renewed(good[0]))["fault"] is None
            assert sink.names.count(good[0]) == 2
            return {one["name"]: one["state"] for one in manager.status()}

    states = asyncio.run(run())
    assert states[good[0]] == "served"


def test_it_stops_at_once_while_a_ca_does_not_answer(tmp_path, pebble):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        stage = Stage(tmp_path / "store", None, [Authority(f"https://127.0.0.1:{port}/dir")])
        ended = []

        def visit():
            with pytest.raises(AcmeStopped):
                stage.keeper.wait_visit(NAME, 0)
            ended.append(True)

        thread = threading.Thread(target=visit, daemon=True)
        thread.start()
        accepted, _ = silent.accept()
        with accepted:
            stage.stop.set()
            accepted.close()
            thread.join()
    assert ended


def test_the_files_have_no_secret_in_what_is_logged(pebble, stage, answering, caplog):
    caplog.set_level(logging.DEBUG)
    stage.keeper.wait_visit(NAME, 0)
    account = json.loads(next((stage.store.path / "accounts").glob("*.json")).read_text())
    assert "PRIVATE KEY" in account["key"]
    assert "PRIVATE" not in caplog.text
