from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

import lib.settings
from lib import identity as module
from lib.identity import (
    WRONG_PASSWORD,
    ConfigurationError,
    Identity,
    PermissionRefused,
    Role,
    SignInMethod,
    SignInRefused,
    User,
    check_exposure,
    claims_token,
    open_identity,
    read_accounts,
    require,
    sign_in_method,
)
from lib.settings import ROOT, Settings
from lib.store import AuditRow, FailedSignInRow, SignInRow, Store, open_store

KEY = "k3y-of-these-tests-with-enough-different-bytes"
PASSWORDS = {"ada": "correct horse", "ben": "battery staple"}
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
TOKEN = "token-1"
AUTH = {
    "redirect_uri": "https://sightline.example.com/oauth2callback",
    "cookie_secret": KEY,
    "client_id": "sightline",
    "client_secret": "s3cret",
    "server_metadata_url": "https://accounts.example.com/.well-known/openid-configuration",
}


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


def hash_of(password: str, cost: int = 12) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@pytest.fixture(scope="session")
def hashes() -> dict[str, str]:
    return {name: hash_of(password) for name, password in PASSWORDS.items()}


@pytest.fixture
def secrets_file() -> Path:
    return lib.settings.SECRETS_FILE


@pytest.fixture
def users_file(tmp_path: Path, hashes: dict[str, str]) -> Path:
    path = tmp_path / "users.yaml"
    write_users(path, entries(hashes))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'sightline.db'}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Settings]:
    def make(**values: Any) -> Settings:
        return Settings(
            **{
                "data_dir": tmp_path,
                "users_file": tmp_path / "users.yaml",
                "cookie_key": KEY,
                "address": "127.0.0.1",
                "session_hours": 12,
                "idle_minutes": 30,
                **values,
            }
        )

    return make


@pytest.fixture
def identity(
    config: Callable[..., Settings], users_file: Path, store: Store, clock: Clock
) -> Identity:
    assert users_file.exists()
    return open_identity(config(), store, clock)


@pytest.fixture
def oidc(
    config: Callable[..., Settings], secrets_file: Path, store: Store, clock: Clock
) -> Identity:
    write_auth(secrets_file, AUTH)
    settings = config(admins=("Ada@Example.com",), analysts=("ben@example.com",))
    return open_identity(settings, store, clock)


def entries(hashes: dict[str, str]) -> dict[str, Any]:
    return {
        "ada": {
            "first_name": "Ada",
            "last_name": "Adams",
            "email": "ada@example.com",
            "password": hashes["ada"],
            "roles": ["viewer", "admin"],
        },
        "ben": {"email": "ben@example.com", "password": hashes["ben"]},
    }


def write_users(path: Path, usernames: Any) -> None:
    path.write_text(yaml.safe_dump({"credentials": {"usernames": usernames}}))


def write_auth(path: Path, auth: dict[str, str]) -> None:
    lines = (f"{name} = {json.dumps(value)}" for name, value in auth.items())
    path.write_text("[auth]\n" + "\n".join(lines))


def claims(**values: Any) -> dict[str, Any]:
    return {
        "is_logged_in": True,
        "iss": "https://accounts.example.com",
        "sub": "1234",
        "iat": int(START.timestamp()),
        "nonce": "n-1",
        "email": "ada@example.com",
        "email_verified": True,
        "name": "Ada Adams",
        **values,
    }


def sign_in(identity: Identity, token: str = TOKEN, username: str = "ada") -> None:
    identity.open_session(username, SignInMethod.PASSWORD, token)


def fail(identity: Identity, times: int, username: str = "ada", address: str = "10.0.0.1") -> None:
    for _ in range(times):
        with pytest.raises(SignInRefused, match="do not match"):
            identity.check_password(username, "wrong", address)


def actions(identity: Identity) -> list[str]:
    return [event.action for event in identity.audit_log()]


def count(store: Store, table: Any) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compare without bcrypt, where a test is about counting; return the passwords looked at."""
    looked_at: list[str] = []

    def matches(password: str, _hash: str) -> bool:
        looked_at.append(password)
        return password in PASSWORDS.values()

    monkeypatch.setattr(module, "_matches", matches)
    return looked_at


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "allowed"),
        [
            (Role.VIEWER, [Role.VIEWER]),
            (Role.ANALYST, [Role.VIEWER, Role.ANALYST]),
            (Role.ADMIN, [Role.VIEWER, Role.ANALYST, Role.ADMIN]),
        ],
    )
    def test_a_role_allows_itself_and_those_below(self, role: Role, allowed: list[Role]) -> None:
        assert [needed for needed in Role if role.allows(needed)] == allowed

    def test_require_names_both_roles(self) -> None:
        ben = User("ben", "Ben", "", Role.VIEWER, SignInMethod.PASSWORD)
        require(ben, Role.VIEWER)
        with pytest.raises(PermissionRefused, match=r"needs the role analyst.*as viewer"):
            require(ben, Role.ANALYST)


class TestSignInMethod:
    def test_without_users_this_machine_is_the_user(
        self, config: Callable[..., Settings], store: Store
    ) -> None:
        assert sign_in_method(config()) is SignInMethod.SINGLE_USER
        user = open_identity(config(), store).single_user()
        assert (user.name, user.role) == ("This machine", Role.ADMIN)

    def test_a_users_file_asks_for_passwords(
        self, config: Callable[..., Settings], users_file: Path
    ) -> None:
        assert sign_in_method(config(users_file=users_file)) is SignInMethod.PASSWORD

    def test_openid_connect_wins_over_passwords(
        self, config: Callable[..., Settings], users_file: Path, secrets_file: Path
    ) -> None:
        write_auth(secrets_file, AUTH)
        assert sign_in_method(config(users_file=users_file)) is SignInMethod.OIDC

    def test_a_users_file_that_vanishes_makes_nobody_the_single_user(
        self, identity: Identity, users_file: Path
    ) -> None:
        sign_in(identity)
        users_file.unlink()
        assert identity.method is SignInMethod.PASSWORD
        with pytest.raises(SignInRefused):
            identity.single_user()
        with pytest.raises(ConfigurationError, match="gone"):
            identity.session_user("token-1")


class TestCheckExposure:
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
    def test_single_user_mode_is_for_loopback(
        self, config: Callable[..., Settings], address: str
    ) -> None:
        check_exposure(config(address=address))

    @pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "::", "example.com", ""])  # noqa: S104  refused
    def test_any_other_address_needs_a_sign_in(
        self, config: Callable[..., Settings], address: str
    ) -> None:
        with pytest.raises(ConfigurationError, match="no sign-in"):
            check_exposure(config(address=address))

    def test_users_and_a_good_key_may_be_exposed(
        self, config: Callable[..., Settings], users_file: Path
    ) -> None:
        check_exposure(config(address="0.0.0.0", users_file=users_file))  # noqa: S104  the case

    def test_a_proxy_in_front_of_single_user_mode_is_refused(self, tmp_path: Path) -> None:
        behind = Settings(users_file=tmp_path / "none.yaml", allowed_hosts=("a.example.org",))
        with pytest.raises(ConfigurationError, match=r"a\.example\.org, with no sign-in"):
            check_exposure(behind)

    @pytest.mark.parametrize(
        ("key", "wrong"),
        [
            ("", "missing"),
            ("some_key", "shorter"),
            (KEY[:31], "shorter"),
            ("x" * 40, "repeats"),
            ("abab" * 10, "repeats"),
            ("replace-with-the-output-of-the-command-above", "placeholder"),
        ],
    )
    def test_a_weak_cookie_key_is_refused_and_not_quoted(
        self, config: Callable[..., Settings], users_file: Path, key: str, wrong: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=wrong) as refusal:
            check_exposure(config(users_file=users_file, cookie_key=key))
        assert not key or key not in str(refusal.value)

    @pytest.mark.parametrize(
        ("change", "wrong"),
        [
            ({"ada": {"password": "hunter2"}}, "not a bcrypt hash"),
            ({"ada": {"email": "x@example.com"}}, "not a bcrypt hash"),
            ({"ada": None}, "not a bcrypt hash"),
            ({"ada": {"password": "$2b$12$" + "a" * 53}}, "not a bcrypt hash"),
            ({"ada": {"password": "$2b$10$" + "." * 53}}, "cost 10"),
            ({"ada": {"password": "$2b$31$" + "." * 53}}, "cost 31"),
            ({"ada": {"password": "$2b$12$" + "." * 53, "roles": ["root"]}}, "role of 'ada'"),
            ({"ada": {"password": "$2b$12$" + "." * 53, "roles": [{}]}}, "role of 'ada'"),
            (
                {name: {"password": "$2b$12$" + "." * 53} for name in ("ada", "ADA")},
                "'ada' twice",
            ),
            ({"": {"password": "$2b$12$" + "." * 53}}, "username"),
            ({}, "no users"),
            ([], "no users"),
        ],
    )
    def test_an_unsafe_users_file_is_refused(
        self, config: Callable[..., Settings], users_file: Path, change: Any, wrong: str
    ) -> None:
        write_users(users_file, change)
        with pytest.raises(ConfigurationError, match=wrong) as refusal:
            check_exposure(config(users_file=users_file))
        assert "hunter2" not in str(refusal.value)

    def test_a_users_file_that_is_no_yaml_is_refused_without_its_text(
        self, config: Callable[..., Settings], users_file: Path
    ) -> None:
        users_file.write_text("credentials: {usernames: {ada: {password: 'hunter2}}}")
        with pytest.raises(ConfigurationError, match="YAML") as refusal:
            check_exposure(config(users_file=users_file))
        assert refusal.value.__cause__ is None
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize("name", AUTH)
    def test_each_openid_connect_setting_is_needed(
        self, config: Callable[..., Settings], secrets_file: Path, name: str
    ) -> None:
        for value in ("", "replace-with-yours"):
            write_auth(secrets_file, {**AUTH, name: value})
            with pytest.raises(ConfigurationError, match=f"auth.{name}"):
                check_exposure(config())

    def test_a_short_openid_connect_cookie_secret_is_refused(
        self, config: Callable[..., Settings], secrets_file: Path
    ) -> None:
        write_auth(secrets_file, {**AUTH, "cookie_secret": "short"})
        with pytest.raises(ConfigurationError, match="shorter"):
            check_exposure(config())

    def test_open_identity_checks_too(
        self, config: Callable[..., Settings], users_file: Path, store: Store
    ) -> None:
        with pytest.raises(ConfigurationError):
            open_identity(config(users_file=users_file, cookie_key=""), store)


class TestExamples:
    def test_the_users_example_is_refused_until_its_passwords_are_set(self) -> None:
        with pytest.raises(ConfigurationError, match="not a bcrypt hash"):
            read_accounts(ROOT / ".streamlit" / "users.yaml.example")

    def test_the_users_example_is_right_once_they_are(
        self, tmp_path: Path, hashes: dict[str, str]
    ) -> None:
        example = (ROOT / ".streamlit" / "users.yaml.example").read_text()
        filled = tmp_path / "filled.yaml"
        filled.write_text(example.replace("replace-with-a-bcrypt-hash", hashes["ada"]))
        roles = {name: account.user.role for name, account in read_accounts(filled).items()}
        assert roles == {"ada": Role.ADMIN, "ben": Role.ANALYST}

    def test_the_secrets_example_is_refused_until_its_secrets_are_set(
        self, config: Callable[..., Settings], users_file: Path, secrets_file: Path
    ) -> None:
        example = (ROOT / ".streamlit" / "secrets.toml.example").read_text()
        secrets_file.write_text(example)
        values = lib.settings.read_secrets()["sightline"]
        with pytest.raises(ConfigurationError, match="placeholder"):
            check_exposure(config(users_file=users_file, **values))
        secrets_file.write_text(re.sub(r"(?m)^# (\[auth\]|\w+ = )", r"\1", example))
        for name in ("cookie_secret", "client_id", "client_secret"):
            with pytest.raises(ConfigurationError, match=f"auth.{name}"):
                check_exposure(config())
            text = secrets_file.read_text()
            secrets_file.write_text(re.sub(rf'(?m)^{name} = ".*"', f'{name} = "{KEY}"', text))
        check_exposure(config())


class TestUsers:
    def test_users_are_read_with_their_highest_role(self, identity: Identity) -> None:
        ada, ben = identity.users()
        assert ada == User("ada", "Ada Adams", "ada@example.com", Role.ADMIN, SignInMethod.PASSWORD)
        assert (ben.name, ben.role) == ("ben", Role.VIEWER)

    def test_a_change_of_the_file_counts_at_once(
        self, identity: Identity, users_file: Path, hashes: dict[str, str]
    ) -> None:
        assert len(identity.users()) == 2
        write_users(users_file, {"ada": entries(hashes)["ada"]})
        assert [user.username for user in identity.users()] == ["ada"]

    def test_an_unchanged_file_is_not_read_again(
        self, identity: Identity, users_file: Path
    ) -> None:
        first = identity.users()
        status = users_file.stat()
        users_file.write_text("x" * status.st_size)
        os.utime(users_file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert identity.users() == first

    def test_single_user_mode_has_no_users(
        self, config: Callable[..., Settings], store: Store
    ) -> None:
        identity = open_identity(config(), store)
        assert identity.users() == ()
        with pytest.raises(ConfigurationError):
            identity.check_password("ada", "x", "local")


class TestCheckPassword:
    def test_the_right_password_returns_the_user(self, identity: Identity, store: Store) -> None:
        fail(identity, 1)
        assert identity.check_password(" ADA ", PASSWORDS["ada"], "10.0.0.1").username == "ada"
        assert count(store, FailedSignInRow) == 0

    def test_a_wrong_password_and_an_unknown_user_read_the_same(self, identity: Identity) -> None:
        for username in ("ada", "nobody"):
            with pytest.raises(SignInRefused) as refusal:
                identity.check_password(username, "wrong", "10.0.0.1")
            assert str(refusal.value) == WRONG_PASSWORD

    def test_an_unknown_user_costs_one_bcrypt_check_too(
        self, identity: Identity, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        costs: list[bytes] = []
        real = bcrypt.checkpw

        def checkpw(password: bytes, hashed: bytes) -> bool:
            costs.append(hashed[:7])
            return real(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", checkpw)
        fail(identity, 1, "ada")
        fail(identity, 1, "nobody")
        assert costs == [b"$2b$12$", b"$2b$12$"]

    def test_the_password_of_somebody_else_lets_nobody_unknown_in(self, identity: Identity) -> None:
        for username, password in (("nobody", PASSWORDS["ada"]), ("ben", PASSWORDS["ada"])):
            with pytest.raises(SignInRefused):
                identity.check_password(username, password, "10.0.0.1")

    def test_a_password_beyond_what_bcrypt_reads_is_wrong(self) -> None:
        longest = "x" * 72
        assert module._matches(longest, hash_of(longest, cost=4))
        assert not module._matches(longest + "y", hash_of(longest, cost=4))

    @settings(deadline=None, max_examples=25)
    @given(password=st.text(max_size=100))
    def test_any_text_is_a_password_or_wrong(self, password: str) -> None:
        assert not module._matches(password, "$2b$04$" + "." * 53)

    def test_refusals_are_recorded_without_the_password_or_the_whole_unknown_name(
        self, identity: Identity, store: Store
    ) -> None:
        for username in ("ada", "my-secret-typed-in-the-wrong-field"):
            with pytest.raises(SignInRefused):
                identity.check_password(username, "hunter2", "10.0.0.1")
        assert [(event.who, event.action, event.target) for event in identity.audit_log()] == [
            ("my-…", "sign-in refused", "10.0.0.1"),
            ("ada", "sign-in refused", "10.0.0.1"),
        ]
        store.close()
        written = b"".join(
            path.read_bytes() for path in Path(store.engine.url.database or "").parent.glob("*.db*")
        )
        assert b"hunter2" not in written
        assert b"my-secret" not in written


@pytest.mark.usefixtures("quick_passwords")
class TestLockout:
    def test_after_five_failures_not_even_the_right_password_is_looked_at(
        self, identity: Identity, clock: Clock, quick_passwords: list[str]
    ) -> None:
        fail(identity, 5)
        clock.advance(minutes=2.5)
        quick_passwords.clear()
        with pytest.raises(SignInRefused, match="again in 13 minutes"):
            identity.check_password("Ada", PASSWORDS["ada"], "10.0.0.1")
        assert quick_passwords == []

    def test_it_ends_after_fifteen_minutes_whatever_was_tried_meanwhile(
        self, identity: Identity, clock: Clock, store: Store
    ) -> None:
        fail(identity, 5)
        for minutes in range(14, 0, -1):
            clock.advance(minutes=1)
            unit = "minute" if minutes == 1 else "minutes"
            with pytest.raises(SignInRefused, match=rf"in {minutes} {unit}\."):
                identity.check_password("ada", PASSWORDS["ada"], "10.0.0.1")
        clock.advance(minutes=1)
        identity.check_password("ada", PASSWORDS["ada"], "10.0.0.1")
        assert count(store, FailedSignInRow) == 0

    def test_it_holds_for_unknown_users_too(self, identity: Identity) -> None:
        fail(identity, 5, "nobody")
        with pytest.raises(SignInRefused, match="Too many"):
            identity.check_password("nobody", "wrong", "10.0.0.1")

    def test_other_users_and_addresses_are_not_locked(self, identity: Identity) -> None:
        fail(identity, 5)
        identity.check_password("ben", PASSWORDS["ben"], "10.0.0.1")
        identity.check_password("ada", PASSWORDS["ada"], "10.0.0.2")

    def test_success_starts_the_count_again(self, identity: Identity) -> None:
        for _ in range(3):
            fail(identity, 4)
            identity.check_password("ada", PASSWORDS["ada"], "10.0.0.1")

    def test_an_address_that_tries_many_names_is_locked(self, identity: Identity) -> None:
        for number in range(20):
            fail(identity, 1, f"user-{number}")
        with pytest.raises(SignInRefused, match="Too many"):
            identity.check_password("ada", PASSWORDS["ada"], "10.0.0.1")

    def test_a_name_tried_from_many_addresses_is_locked(self, identity: Identity) -> None:
        for number in range(50):
            fail(identity, 1, "ada", f"10.0.1.{number}")
        with pytest.raises(SignInRefused, match="Too many"):
            identity.check_password("ada", PASSWORDS["ada"], "10.0.0.1")

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("2001:db8::1", "2001:db8::ffff:2", True),
            ("2001:db8::1%eth0", "2001:db8::2", True),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
            ("::ffff:10.0.0.1", "10.0.0.1", True),
            ("10.0.0.1", "10.0.0.2", False),
            ("local", "local", True),
        ],
    )
    def test_an_ipv6_network_counts_as_one_address(self, one: str, other: str, same: bool) -> None:  # noqa: FBT001  a table
        assert (module._network(one) == module._network(other)) is same

    def test_it_is_recorded_once(self, identity: Identity) -> None:
        fail(identity, 5)
        for _ in range(3):
            with pytest.raises(SignInRefused):
                identity.check_password("ada", "wrong", "10.0.0.1")
        assert actions(identity) == ["sign-in locked", *["sign-in refused"] * 5]

    def test_guesses_at_the_same_moment_do_not_slip_past_it(
        self, identity: Identity, quick_passwords: list[str]
    ) -> None:
        together = threading.Barrier(12)

        def guess(_number: int) -> None:
            together.wait()
            with pytest.raises(SignInRefused):
                identity.check_password("ada", "wrong", "10.0.0.1")

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(guess, range(12)))
        assert len(quick_passwords) <= 5

    def test_old_failures_are_pruned(self, identity: Identity, clock: Clock, store: Store) -> None:
        fail(identity, 3, "nobody")
        clock.advance(minutes=15)
        fail(identity, 1)
        assert count(store, FailedSignInRow) == 1


class TestSessions:
    def test_a_token_brings_its_user_back(self, identity: Identity) -> None:
        sign_in(identity)
        assert identity.session_user("token-1") == identity.users()[0]

    def test_an_unknown_token_brings_nobody(self, identity: Identity) -> None:
        sign_in(identity)
        for token in ("", "token-2", "%", "token-1 ", identity.sessions()[0].id):
            assert identity.session_user(token) is None

    def test_the_store_keeps_no_token(self, identity: Identity, store: Store) -> None:
        sign_in(identity, "c4n4ry-token")
        with store.read() as session:
            assert "c4n4ry" not in session.scalars(select(SignInRow.id)).one()

    def test_signing_out_ends_it_for_good(self, identity: Identity) -> None:
        sign_in(identity)
        sign_in(identity, "token-2")
        identity.revoke("token-1")
        identity.revoke("never seen")
        assert identity.session_user("token-1") is None
        assert identity.session_user("token-2") is not None
        assert actions(identity) == ["sign-out", "sign-in", "sign-in"]

    def test_it_expires_after_session_hours_even_in_use(
        self, identity: Identity, clock: Clock
    ) -> None:
        sign_in(identity)
        for _ in range(12 * 4 - 1):
            clock.advance(minutes=15)
            assert identity.session_user("token-1") is not None
        clock.advance(minutes=15)
        assert identity.session_user("token-1") is None

    def test_it_ends_when_left_idle(self, identity: Identity, clock: Clock) -> None:
        sign_in(identity)
        clock.advance(minutes=30)
        assert identity.session_user("token-1") is not None
        clock.advance(minutes=30, seconds=1)
        assert identity.session_user("token-1") is None

    def test_it_is_touched_at_most_once_a_minute(self, identity: Identity, clock: Clock) -> None:
        sign_in(identity)
        seen = []
        for _ in range(4):
            clock.advance(seconds=30)
            identity.session_user("token-1")
            seen.append(identity.sessions()[0].seen_at - START)
        assert seen == [timedelta(minutes=minutes) for minutes in (0, 1, 1, 2)]

    def test_a_changed_password_ends_it(
        self, identity: Identity, users_file: Path, hashes: dict[str, str]
    ) -> None:
        sign_in(identity)
        sign_in(identity, "token-ben", "ben")
        changed = entries(hashes)
        changed["ada"]["password"] = hashes["ben"]
        write_users(users_file, changed)
        assert identity.session_user("token-1") is None
        assert identity.session_user("token-ben") is not None
        assert [session.username for session in identity.sessions()] == ["ben"]

    def test_a_removed_user_is_out(
        self, identity: Identity, users_file: Path, hashes: dict[str, str]
    ) -> None:
        sign_in(identity)
        write_users(users_file, {"ben": entries(hashes)["ben"]})
        assert identity.session_user("token-1") is None
        assert identity.sessions() == ()

    def test_the_role_is_todays(
        self, identity: Identity, users_file: Path, hashes: dict[str, str]
    ) -> None:
        sign_in(identity)
        changed = entries(hashes)
        changed["ada"]["roles"] = ["viewer"]
        write_users(users_file, changed)
        user = identity.session_user("token-1")
        assert user is not None
        assert user.role is Role.VIEWER

    def test_an_administrator_ends_one_session_by_its_id(self, identity: Identity) -> None:
        sign_in(identity, "token-1")
        sign_in(identity, "token-2")
        for wrong in ("", "%", identity.sessions()[0].id[:20]):
            identity.revoke_session(wrong, by="ben")
        assert len(identity.sessions()) == 2
        identity.revoke_session(identity.sessions()[0].id, by="ben")
        assert len(identity.sessions()) == 1
        (event, *_) = identity.audit_log()
        assert (event.who, event.action, event.target) == ("ben", "session revoked", "ada")

    def test_an_administrator_ends_all_sessions_of_a_user(self, identity: Identity) -> None:
        for token in ("token-1", "token-2"):
            sign_in(identity, token)
        sign_in(identity, "token-ben", "ben")
        identity.revoke_all("ada", by="ben")
        assert [session.username for session in identity.sessions()] == ["ben"]

    def test_the_list_says_who_how_and_since_when(self, identity: Identity, clock: Clock) -> None:
        sign_in(identity)
        clock.advance(minutes=5)
        sign_in(identity, "token-ben", "ben")
        ben, ada = identity.sessions()
        assert (ada.username, ada.method, ada.since) == ("ada", SignInMethod.PASSWORD, START)
        assert ben.username == "ben"

    def test_expired_rows_are_pruned(self, identity: Identity, clock: Clock, store: Store) -> None:
        sign_in(identity)
        clock.advance(hours=12)
        sign_in(identity, "token-2")
        assert count(store, SignInRow) == 1

    def test_a_session_of_another_method_is_not_taken_over(
        self, identity: Identity, oidc: Identity
    ) -> None:
        oidc.open_session("ada", SignInMethod.OIDC, "token-1")
        assert identity.session_user("token-1") is None
        assert oidc.session_user("token-1") is None


class TestOidc:
    @pytest.mark.parametrize(
        ("email", "role"),
        [
            ("ada@example.com", Role.ADMIN),
            ("BEN@example.com", Role.ANALYST),
            ("eve@example.com", Role.VIEWER),
            (None, Role.VIEWER),
        ],
    )
    def test_the_e_mail_address_gives_the_role(
        self, oidc: Identity, email: str | None, role: Role
    ) -> None:
        assert oidc.user_from_claims(claims(email=email)).role is role

    def test_without_an_e_mail_address_the_subject_is_the_user(self, oidc: Identity) -> None:
        user = oidc.user_from_claims(claims(email=None, name=None))
        assert (user.username, user.name) == ("1234", "1234")
        with pytest.raises(SignInRefused):
            oidc.user_from_claims({"name": "Nobody"})

    @pytest.mark.parametrize("verified", [False, "false", None, 0])
    def test_an_unverified_e_mail_address_is_refused(self, oidc: Identity, verified: Any) -> None:
        with pytest.raises(SignInRefused, match="not verified"):
            oidc.oidc_user(claims(email_verified=verified))
        assert oidc.sessions() == ()

    def test_a_provider_that_says_nothing_about_it_is_trusted(self, oidc: Identity) -> None:
        silent = claims()
        del silent["email_verified"]
        assert oidc.oidc_user(silent) is not None

    def test_the_first_sight_opens_one_session(self, oidc: Identity) -> None:
        for _ in range(3):
            user = oidc.oidc_user(claims())
            assert user is not None
            assert user.name == "Ada Adams"
        assert [session.username for session in oidc.sessions()] == ["ada@example.com"]

    def test_a_cookie_replayed_after_sign_out_is_refused(self, oidc: Identity) -> None:
        oidc.oidc_user(claims())
        oidc.revoke(claims_token(claims()))
        assert oidc.oidc_user(claims()) is None
        assert oidc.oidc_user(claims(nonce="n-2")) is not None

    def test_a_cookie_never_opens_a_second_session(self, oidc: Identity, clock: Clock) -> None:
        oidc.oidc_user(claims())
        clock.advance(minutes=31)
        assert oidc.oidc_user(claims()) is None
        clock.advance(hours=11, minutes=28)
        assert oidc.oidc_user(claims()) is None
        clock.advance(minutes=1)
        # Another sign-in prunes the row; the claims are too old by then.
        oidc.oidc_user(claims(sub="5678", iat=clock().timestamp()))
        assert oidc.oidc_user(claims()) is None

    def test_it_ends_session_hours_after_the_provider_issued_it(
        self, oidc: Identity, clock: Clock
    ) -> None:
        clock.advance(hours=11, minutes=50)
        assert oidc.oidc_user(claims()) is not None
        clock.advance(minutes=10)
        assert oidc.oidc_user(claims()) is None

    @pytest.mark.parametrize(
        "issued",
        [
            START - timedelta(hours=12),
            START + timedelta(minutes=6),
            None,
            "soon",
            float("nan"),
            1e300,
        ],
    )
    def test_claims_that_are_not_fresh_open_nothing(self, oidc: Identity, issued: Any) -> None:
        at = issued.timestamp() if isinstance(issued, datetime) else issued
        assert oidc.oidc_user(claims(iat=at)) is None
        assert oidc.sessions() == ()

    def test_claims_that_differ_are_different_sign_ins(self) -> None:
        tokens = {
            claims_token(claims(**change))
            for change in (
                {},
                {"iss": "a", "sub": "bc"},
                {"iss": "ab", "sub": "c"},
                {"iat": 1},
                {"nonce": "x"},
                {"sid": "x"},
            )
        }
        assert len(tokens) == 6
        assert claims_token(claims(name="Other")) == claims_token(claims())

    def test_two_tabs_open_one_session(self, oidc: Identity) -> None:
        together = threading.Barrier(6)

        def look(_number: int) -> User | None:
            together.wait()
            return oidc.oidc_user(claims())

        with ThreadPoolExecutor(6) as pool:
            assert None not in list(pool.map(look, range(6)))
        assert len(oidc.sessions()) == 1


class TestAuditLog:
    def test_the_newest_entry_comes_first(self, identity: Identity, clock: Clock) -> None:
        for number in range(3):
            identity.record("ada", "alert changed", f"alert {number}", "threshold 2 -> 3")
            clock.advance(seconds=number)  # the first two at the same time
        first = identity.audit_log()[0]
        assert (first.who, first.detail) == ("ada", "threshold 2 -> 3")
        assert [event.target for event in identity.audit_log()] == ["alert 2", "alert 1", "alert 0"]
        assert len(identity.audit_log(limit=2)) == 2

    def test_it_can_be_narrowed(self, identity: Identity) -> None:
        for who, action in (("ada", "x"), ("ada", "y"), ("ben", "x")):
            identity.record(who, action)
        assert len(identity.audit_log(who="ada")) == 2
        assert len(identity.audit_log(action="x")) == 2
        assert len(identity.audit_log(who="ada", action="x")) == 1

    def test_long_texts_are_cut_to_the_columns(self, identity: Identity, store: Store) -> None:
        identity.record("w" * 999, "a" * 999, "t" * 999, "d" * 9999)
        with store.read() as session:
            row = session.scalars(select(AuditRow)).one()
            lengths = [len(text) for text in (row.who, row.action, row.target, row.detail)]
        assert lengths == [200, 64, 200, 2000]

    def test_a_sign_in_says_how_and_from_where(self, identity: Identity) -> None:
        identity.open_session("ada", SignInMethod.PASSWORD, "token-1", address="10.0.0.1")
        (event,) = identity.audit_log()
        assert (event.who, event.action, event.target, event.detail) == (
            "ada",
            "sign-in",
            "password",
            "10.0.0.1",
        )
