from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import bcrypt
import jwt
import pytest
import streamlit.runtime.context
import yaml
from streamlit.testing.v1 import AppTest
from streamlit_authenticator.models import CookieModel

import lib.settings
from lib.identity import Identity, Role, open_identity
from lib.settings import Settings, settings
from lib.store import Store, open_store, utc_now
from lib.ui import resources, sign_in

KEY = "k3y-of-these-tests-with-enough-different-bytes"
PASSWORD = "correct horse"
AUTH = {
    "redirect_uri": "https://sightline.example.com/oauth2callback",
    "cookie_secret": KEY,
    "client_id": "sightline",
    "client_secret": "s3cret",
    "server_metadata_url": "https://accounts.example.com/.well-known/openid-configuration",
}


class Visit(Protocol):
    def __call__(self, identity: Identity, claims: dict[str, Any] | None = None) -> AppTest: ...


def page() -> None:
    import streamlit as st

    from lib.settings import settings
    from lib.ui import resources
    from lib.ui.sign_in import current_user, live_user, sign_out

    def click() -> None:
        st.session_state["clicked"] = live_user(resources.identity())

    user = current_user(resources.identity(), settings())
    st.text(f"{user.username} is {user.role}")
    st.text_input("Draft", key="draft")
    st.button("Change", key="change", on_click=click)
    if st.button("Sign out", key="out"):
        sign_out()


@pytest.fixture(scope="session")
def password_hash() -> str:
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'sightline.db'}")
    yield opened
    opened.close()


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SIGHTLINE_COOKIE_KEY", KEY)
    monkeypatch.setenv("SIGHTLINE_ANALYSTS", '["ben@example.com"]')
    return settings()


@pytest.fixture
def users_file(config: Settings, password_hash: str) -> Path:
    entries = {
        "ada": {"first_name": "Ada", "password": password_hash, "roles": ["admin"]},
        "ben": {"first_name": "Ben", "password": password_hash, "roles": ["viewer"]},
    }
    config.users_file.write_text(yaml.safe_dump({"credentials": {"usernames": entries}}))
    return config.users_file


@pytest.fixture
def identity(config: Settings, store: Store, users_file: Path) -> Identity:
    assert users_file.exists()
    return open_identity(config, store)


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    def open_tab(identity: Identity, claims: dict[str, Any] | None = None) -> AppTest:
        monkeypatch.setattr(resources, "identity", lambda: identity)
        tab = AppTest.from_function(page, default_timeout=20)
        tab.user = claims or {}
        tab.run()
        assert not tab.exception
        return tab

    return open_tab


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the cookies and the address that the server sees at the opening of a tab."""
    client = SimpleNamespace(cookies={}, remote_ip="127.0.0.1", headers=[])
    monkeypatch.setattr(streamlit.runtime.context, "_get_client_context", lambda: client)
    return client


def submit(tab: AppTest, username: str = "ada", password: str = PASSWORD) -> AppTest:
    tab.text_input(sign_in.USERNAME).set_value(username)
    tab.text_input(sign_in.PASSWORD).set_value(password)
    tab.button[0].click().run()
    assert not tab.exception
    return tab


def texts(tab: AppTest) -> list[str]:
    return [text.value for text in tab.text]


def errors(tab: AppTest) -> list[str]:
    return [error.value for error in tab.error]


def has_form(tab: AppTest) -> bool:
    return any(field.key == sign_in.PASSWORD for field in tab.text_input)


def cookie_of(tab: AppTest, config: Settings, key: str = KEY) -> str:
    claims = {
        "username": tab.session_state[sign_in.TOKEN],
        "exp_date": (utc_now() + timedelta(hours=config.session_hours)).timestamp(),
    }
    return jwt.encode(claims, key, algorithm="HS256")


class TestSingleUser:
    def test_this_machine_is_in_at_once(self, config: Settings, store: Store, visit: Visit) -> None:
        assert texts(visit(open_identity(config, store))) == ["this-machine is admin"]

    def test_another_machine_is_not(
        self,
        config: Settings,
        store: Store,
        visit: Visit,
        browser: SimpleNamespace,
    ) -> None:
        browser.remote_ip = "192.168.1.7"
        tab = visit(open_identity(config, store))
        assert errors(tab) == [sign_in.SINGLE_USER_ONLY]
        assert texts(tab) == []


class TestForm:
    def test_nothing_of_the_page_is_drawn_before_sign_in(
        self, identity: Identity, visit: Visit
    ) -> None:
        tab = visit(identity)
        assert has_form(tab)
        assert (texts(tab), errors(tab)) == ([], [])

    def test_the_right_password_opens_the_page(self, identity: Identity, visit: Visit) -> None:
        tab = submit(visit(identity), " Ada ")
        assert texts(tab) == ["ada is admin"]
        assert not has_form(tab)
        assert texts(tab.run()) == ["ada is admin"]
        assert [event.action for event in identity.audit_log()] == ["sign-in"]

    def test_a_wrong_password_says_so_keeps_the_name_and_forgets_the_password(
        self, identity: Identity, visit: Visit
    ) -> None:
        tab = submit(visit(identity), password="hunter2")
        assert len(errors(tab)) == 1
        assert "do not match" in errors(tab)[0]
        assert tab.text_input(sign_in.USERNAME).value == "ada"
        assert tab.text_input(sign_in.PASSWORD).value == ""
        assert "hunter2" not in str(tab.session_state.to_dict())

    def test_an_empty_field_is_not_a_failure(self, identity: Identity, visit: Visit) -> None:
        for username, password in (("", PASSWORD), ("ada", "")):
            assert "Enter" in errors(submit(visit(identity), username, password))[0]
        assert identity.audit_log() == ()

    def test_after_five_failures_the_right_password_has_to_wait(
        self, identity: Identity, visit: Visit
    ) -> None:
        tab = visit(identity)
        for _ in range(5):
            submit(tab, password="wrong")
        submit(tab)
        assert "Try again in 15 minutes" in errors(tab)[0]
        # A new tab is no way around it.
        assert "Try again" in errors(submit(visit(identity)))[0]

    def test_a_success_clears_the_error(self, identity: Identity, visit: Visit) -> None:
        tab = submit(submit(visit(identity), password="wrong"))
        assert (texts(tab), errors(tab)) == (["ada is admin"], [])

    def test_a_viewer_stays_one(self, identity: Identity, visit: Visit) -> None:
        tab = submit(visit(identity), "ben")
        for _ in range(2):
            assert texts(tab.run()) == ["ben is viewer"]

    def test_a_broken_users_file_is_not_quoted_to_visitors(
        self,
        identity: Identity,
        visit: Visit,
        users_file: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        tab = visit(identity)
        users_file.write_text("credentials: {usernames: {ada: {password: hunter2}}}")
        submit(tab)
        assert errors(tab) == [sign_in.UNAVAILABLE]
        assert "ada" in caplog.text
        assert "hunter2" not in caplog.text


class TestSession:
    def test_signing_out_brings_the_form_back_and_clears_the_drafts(
        self, identity: Identity, visit: Visit
    ) -> None:
        tab = submit(visit(identity))
        tab.text_input("draft").set_value("my secret plan").run()
        tab.button("out").click().run()
        assert has_form(tab)
        assert texts(tab) == []
        assert "my secret plan" not in str(tab.session_state.to_dict())
        assert identity.sessions() == ()
        assert has_form(tab.run())

    def test_a_revoked_tab_is_signed_out_at_its_next_run(
        self, identity: Identity, visit: Visit
    ) -> None:
        tab = submit(visit(identity))
        identity.revoke_all("ada", by="ben")
        tab.run()
        assert has_form(tab)
        assert (texts(tab), errors(tab)) == ([], [sign_in.ENDED])

    def test_drafts_outlive_the_session_for_their_owner_alone(
        self, identity: Identity, visit: Visit
    ) -> None:
        for username, kept in (("ada", "kept"), ("ben", None)):
            tab = submit(visit(identity))
            tab.session_state["page.note"] = "kept"
            identity.revoke_all("ada", by="ben")
            submit(tab.run(), username)
            assert tab.session_state.get("page.note") == kept

    def test_a_changed_role_holds_at_the_next_run(
        self, identity: Identity, visit: Visit, users_file: Path
    ) -> None:
        tab = submit(visit(identity))
        users_file.write_text(users_file.read_text().replace("admin", "analyst"))
        assert texts(tab.run()) == ["ada is analyst"]

    def test_a_click_that_runs_before_the_page_knows_who_is_there_now(
        self, identity: Identity, visit: Visit, users_file: Path
    ) -> None:
        tab = submit(visit(identity))
        users_file.write_text(users_file.read_text().replace("admin", "analyst"))
        tab.button(key="change").click().run()
        assert tab.session_state["clicked"].role == Role.ANALYST
        identity.revoke_all("ada", by="ben")
        tab.button(key="change").click().run()
        assert tab.session_state["clicked"] is None
        assert has_form(tab)

    def test_the_token_is_not_drawn(self, identity: Identity, visit: Visit) -> None:
        tab = submit(visit(identity))
        token = tab.session_state[sign_in.TOKEN]
        tab.session_state[f"{sign_in.COOKIE_TASK}.{sign_in.KEEP}"] = True
        assert token not in str(tab.run().main)


class TestCookie:
    def test_a_new_tab_is_signed_in_by_the_cookie(
        self,
        identity: Identity,
        config: Settings,
        visit: Visit,
        browser: SimpleNamespace,
    ) -> None:
        first = submit(visit(identity), "ben")
        browser.cookies[sign_in.COOKIE] = cookie_of(first, config)
        assert texts(visit(identity)) == ["ben is viewer"]
        assert len(identity.sessions()) == 1

    def test_an_old_cookie_replayed_after_sign_out_is_refused(
        self,
        identity: Identity,
        config: Settings,
        visit: Visit,
        browser: SimpleNamespace,
    ) -> None:
        first = submit(visit(identity))
        browser.cookies[sign_in.COOKIE] = cookie_of(first, config)
        second = visit(identity)
        first.button("out").click().run()
        assert has_form(visit(identity))
        assert has_form(second.run())

    @pytest.mark.parametrize("forged", ["", "no token", "other key", "name as token"])
    def test_a_forged_cookie_is_refused(
        self,
        identity: Identity,
        config: Settings,
        visit: Visit,
        browser: SimpleNamespace,
        forged: str,
    ) -> None:
        first = submit(visit(identity))
        browser.cookies[sign_in.COOKIE] = {
            "other key": cookie_of(first, config, key=KEY[::-1]),
            "name as token": jwt.encode({"username": "ada", "exp_date": 9e9}, KEY, "HS256"),
        }.get(forged, forged)
        assert has_form(visit(identity))

    def test_it_is_kept_until_the_browser_says_it_has_it(
        self,
        identity: Identity,
        config: Settings,
        visit: Visit,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        kept: list[dict[str, Any]] = []

        def keep(_self: object, name: str, value: str, **options: Any) -> None:
            kept.append({"name": name, "value": value, **options})

        monkeypatch.setattr("extra_streamlit_components.CookieManager.set", keep)
        tab = submit(visit(identity)).run()
        assert len(kept) == 2
        tab.session_state[kept[0]["key"]] = True
        tab.run().run()
        assert len(kept) == 2
        (cookie, _) = kept
        assert (cookie["name"], cookie["same_site"]) == ("sightline", "strict")
        assert timedelta(hours=11.9) < cookie["expires_at"] - datetime.now(UTC)
        assert cookie["expires_at"] - datetime.now(UTC) <= timedelta(hours=config.session_hours)

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_it_travels_over_tls_alone_where_there_is_tls(
        self,
        identity: Identity,
        visit: Visit,
        monkeypatch: pytest.MonkeyPatch,
        scheme: str,
    ) -> None:
        secure: list[bool] = []
        monkeypatch.setattr(
            "extra_streamlit_components.CookieManager.set",
            lambda _self, _name, _value, **options: secure.append(options["secure"]),
        )
        tab = visit(identity)
        tab.context = {"url": f"{scheme}://sightline.example.com/summarize"}
        submit(tab)
        assert secure == [scheme == "https"]

    def test_streamlit_authenticator_can_read_it(
        self, identity: Identity, config: Settings, visit: Visit
    ) -> None:
        tab = submit(visit(identity))
        model = CookieModel(sign_in.COOKIE, KEY, 0.5)
        model.token = cookie_of(tab, config)
        assert model._token_decode()["username"] == tab.session_state[sign_in.TOKEN]


class TestOidc:
    @pytest.fixture
    def identity(self, config: Settings, store: Store) -> Identity:
        lines = (f"{name} = {json.dumps(value)}" for name, value in AUTH.items())
        lib.settings.SECRETS_FILE.write_text("[auth]\n" + "\n".join(lines))
        return open_identity(config, store)

    @pytest.fixture
    def claims(self) -> dict[str, Any]:
        return {
            "is_logged_in": True,
            "iss": "https://accounts.example.com",
            "sub": "1234",
            "iat": int(utc_now().timestamp()),
            "nonce": "n-1",
            "email": "ben@example.com",
            "email_verified": True,
            "name": "Ben Brown",
        }

    def test_without_claims_there_is_one_button(self, identity: Identity, visit: Visit) -> None:
        tab = visit(identity, {"is_logged_in": False})
        assert [button.label for button in tab.button] == ["Sign in"]
        assert (texts(tab), errors(tab)) == ([], [])

    def test_claims_open_the_page_with_the_role_of_the_address(
        self,
        identity: Identity,
        visit: Visit,
        claims: dict[str, Any],
    ) -> None:
        tab = visit(identity, claims)
        assert texts(tab.run()) == ["ben@example.com is analyst"]
        assert len(identity.sessions()) == 1

    def test_a_click_after_the_end_of_the_session_is_nobody_s(
        self, identity: Identity, visit: Visit, claims: dict[str, Any]
    ) -> None:
        tab = visit(identity, claims)
        tab.button(key="change").click().run()
        assert tab.session_state["clicked"].username == "ben@example.com"
        identity.revoke_all("ben@example.com", by="ada")
        tab.button(key="change").click().run()
        assert tab.session_state["clicked"] is None

    def test_a_cookie_replayed_after_sign_out_is_refused(
        self,
        identity: Identity,
        visit: Visit,
        claims: dict[str, Any],
    ) -> None:
        tab = visit(identity, claims)
        tab.button("out").click().run()
        assert texts(tab) == []
        replayed = visit(identity, claims)
        assert (texts(replayed), errors(replayed)) == ([], [sign_in.ENDED])

    def test_an_unverified_address_is_told_why(
        self,
        identity: Identity,
        visit: Visit,
        claims: dict[str, Any],
    ) -> None:
        tab = visit(identity, {**claims, "email_verified": False})
        assert "not verified" in errors(tab)[0]
        assert texts(tab) == []
