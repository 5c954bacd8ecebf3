"""Who is signed in, what they may do, and what was done: users, sessions, lockout, audit log.

Streamlit-authenticator's cookie and Streamlit's OIDC cookie are stateless: they outlive sign-out
and a change of password. Here every sign-in has a row in the store, and that row decides.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import bcrypt
import yaml
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import IntegrityError

from lib.settings import Settings, read_secrets
from lib.store import AuditRow, FailedSignInRow, SignInRow, Store, utc_now

MIN_KEY_BYTES = 32
MIN_KEY_CHARACTERS = 8  # different ones: "aaaa..." and "abab..." are long, not secret
BCRYPT_COSTS = range(12, 17)  # below is guessed too fast, above takes seconds a check
MAX_PASSWORD_BYTES = 72  # bcrypt reads no further
BCRYPT_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
PLACEHOLDER = "replace-"  # how every secret in the .example files begins
OIDC_SECRETS = ("cookie_secret", "client_id", "client_secret", "server_metadata_url")

LOCKOUT = timedelta(minutes=15)
FAILURES_PER_USER_AND_ADDRESS = 5
FAILURES_PER_ADDRESS = 20
FAILURES_PER_USER = 50

TOUCH_INTERVAL = timedelta(minutes=1)
CLOCK_SKEW = timedelta(minutes=5)
DIGEST_LENGTH = 32  # hexadecimal digits; two digests make a session's id

WHO_LENGTH = 200
ACTION_LENGTH = 64
TARGET_LENGTH = 200
DETAIL_LENGTH = 2000

WRONG_PASSWORD = "This username and password do not match. Check both and try again."  # noqa: S105  a message

SIGN_IN = "sign-in"
SIGN_IN_REFUSED = "sign-in refused"
SIGN_IN_LOCKED = "sign-in locked"
SIGN_OUT = "sign-out"
SESSION_REVOKED = "session revoked"


class ConfigurationError(Exception):
    """The settings would expose Sightline, or cannot be read; the message says what to set."""


class SignInRefused(Exception):  # noqa: N818  named as what happened, which is what users read
    """A sign-in was refused; the message is meant for the user and gives nothing away."""


class PermissionRefused(Exception):  # noqa: N818  named as what happened, which is what users read
    """A user's role does not allow an action; the message is meant for the user."""


class Role(StrEnum):
    """What a user may do; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Tell whether this role may do what needs the other."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


class SignInMethod(StrEnum):
    """How users prove who they are."""

    SINGLE_USER = "single user"
    PASSWORD = "password"  # noqa: S105  a name, not a secret
    OIDC = "OpenID Connect"


@dataclass(frozen=True)
class User:
    """Somebody who is signed in, or may sign in."""

    username: str
    name: str
    email: str
    role: Role
    method: SignInMethod


@dataclass(frozen=True)
class Account:
    """A user of the users file with the bcrypt hash of the password."""

    user: User
    password_hash: str


@dataclass(frozen=True)
class ActiveSession:
    """One signed-in browser. The id names it, and lets nobody in."""

    id: str
    username: str
    method: SignInMethod
    since: datetime
    seen_at: datetime


@dataclass(frozen=True)
class AuditEvent:
    """One entry of the audit log."""

    at: datetime
    who: str
    action: str
    target: str
    detail: str


def require(user: User, role: Role) -> None:
    """Raise PermissionRefused unless the user's role allows what needs the given one."""
    if not user.role.allows(role):
        raise PermissionRefused(
            f"This needs the role {role}; you are signed in as {user.role}. "
            "Ask an administrator of this Sightline for it."
        )


def sign_in_method(settings: Settings) -> SignInMethod:
    """Return the way to sign in that the settings ask for."""
    if settings.oidc_configured:
        return SignInMethod.OIDC
    if settings.users_file.exists():
        return SignInMethod.PASSWORD
    return SignInMethod.SINGLE_USER


def check_exposure(settings: Settings) -> None:
    """Raise ConfigurationError where the settings would let strangers in."""
    method = sign_in_method(settings)
    if method is SignInMethod.SINGLE_USER and not settings.on_loopback:
        raise ConfigurationError(
            f"Sightline would listen on {settings.address} with no sign-in. Add users in "
            f"{settings.users_file.name} or an [auth] table in secrets.toml, "
            "or set SIGHTLINE_ADDRESS to 127.0.0.1."
        )
    if method is SignInMethod.SINGLE_USER and settings.allowed_hosts:
        raise ConfigurationError(
            f"SIGHTLINE_ALLOWED_HOSTS lets a proxy offer Sightline as {settings.allowed_hosts[0]}, "
            f"with no sign-in. Add users in {settings.users_file.name} or an [auth] table in "
            "secrets.toml, or leave that setting out."
        )
    if method is SignInMethod.PASSWORD:
        _check_key("SIGHTLINE_COOKIE_KEY", settings.cookie_key.get_secret_value())
        read_accounts(settings.users_file)
    if method is SignInMethod.OIDC:
        _check_oidc(read_secrets()["auth"])


def read_accounts(path: Path) -> dict[str, Account]:
    """Return the accounts of a users file, in streamlit-authenticator's format, by lower-case name.

    Raises ConfigurationError where the file is missing or an entry is unsafe.
    """
    accounts: dict[str, Account] = {}
    for name, entry in _user_entries(path).items():
        account = _account(str(name).strip().lower(), entry, path.name)
        if account.user.username in accounts:
            raise ConfigurationError(
                f"{path.name} has the user {account.user.username!r} twice: "
                "usernames differ in more than upper and lower case. Remove one."
            )
        accounts[account.user.username] = account
    return accounts


def claims_token(claims: Mapping[str, Any]) -> str:
    """Return what tells one OIDC sign-in from another, the same at every run of it."""
    return json.dumps([str(claims.get(key, "")) for key in ("iss", "sub", "iat", "nonce", "sid")])


class Identity:
    """The users, their sessions and the audit log. Threads and processes may share the store."""

    def __init__(
        self, settings: Settings, store: Store, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._settings = settings
        self._store = store
        self._now = now
        # Decided once: a users file that vanishes must not make everybody the single user.
        self.method = sign_in_method(settings)
        self._read: tuple[tuple[int, int, int], dict[str, Account]] | None = None

    def single_user(self) -> User:
        """Return the one user of single-user mode; raise SignInRefused in any other mode."""
        if self.method is not SignInMethod.SINGLE_USER:
            raise SignInRefused("Sign in first.")
        return User("this-machine", "This machine", "", Role.ADMIN, self.method)

    def users(self) -> tuple[User, ...]:
        """Return the users of the users file by name; none where sign-in is not by password."""
        return tuple(account.user for _, account in sorted(self._accounts().items()))

    def check_password(self, username: str, password: str, address: str) -> User:
        """Return the user whose password this is; raise SignInRefused otherwise.

        After too many failures the password is not even looked at. An unknown user takes as long
        as a wrong password, and reads the same.
        """
        accounts = self._accounts()
        if not accounts:
            raise ConfigurationError("Sign-in by password is not configured.")
        name = username.strip().lower()
        attempt = self._count_attempt(name, address)
        account = accounts.get(name)
        # Somebody else's hash keeps an unknown name as slow as a known one.
        compared = account or next(iter(accounts.values()))
        if not _matches(password, compared.password_hash) or account is None:
            self._record_refusal(name if account else f"{name[:3]}…", address, attempt)
            raise SignInRefused(WRONG_PASSWORD)
        with self._store.write() as session:
            session.execute(delete(FailedSignInRow).where(*_same_user_and_address(attempt)))
        return account.user

    def open_session(
        self,
        username: str,
        method: SignInMethod,
        token: str,
        *,
        address: str = "",
        since: datetime | None = None,
    ) -> None:
        """Let the bearer of a token in as a user for `session_hours` from now, or from `since`."""
        now = self._now()
        row = SignInRow(
            id=_digest(token) + self._fingerprint(username, method),
            username=username,
            method=method,
            created_at=now,
            seen_at=now,
            expires_at=(since or now) + timedelta(hours=self._settings.session_hours),
        )
        with self._store.write() as session:
            session.execute(delete(SignInRow).where(SignInRow.expires_at <= now))
            session.add(row)
            session.add(self._audit_row(username, SIGN_IN, method, address))

    def session_user(self, token: str) -> User | None:
        """Return the user whose live password session this token opened, with today's role."""
        row = self._session_row(token)
        if row is None or row.method != SignInMethod.PASSWORD or not self._is_live(row):
            return None
        self._touch(row)
        return self._accounts()[row.username].user

    def user_from_claims(self, claims: Mapping[str, Any]) -> User:
        """Return the user that OIDC claims describe; raise SignInRefused for an unproven e-mail."""
        email = str(claims.get("email") or "").strip().lower()
        # Absent, the claim means unknown (OpenID Connect Core 5.1). Some providers, Entra ID among
        # them, never send it, and the one provider that the administrator chose is trusted.
        if email and str(claims.get("email_verified", True)).lower() != "true":
            raise SignInRefused(
                "Your identity provider has not verified your e-mail address. "
                "Verify it there, then sign in again."
            )
        username = (email or str(claims.get("sub", "")))[:WHO_LENGTH]
        if not username:
            raise SignInRefused("Your identity provider did not say who you are.")
        name = str(claims.get("name") or username)
        return User(username, name, email, self._role_of(email), SignInMethod.OIDC)

    def oidc_user(self, claims: Mapping[str, Any]) -> User | None:
        """Return the user of a live OIDC session, opened at the first sight of fresh claims.

        Returns None when the session was revoked, has expired or was left idle: the same cookie
        never opens it again. Raises SignInRefused for an unproven e-mail.
        """
        user = self.user_from_claims(claims)
        token = claims_token(claims)
        row = self._session_row(token)
        if row is None and (issued := self._issue_time(claims)) is not None:
            # Two tabs may see the same new claims at once; one of them opens the session.
            with suppress(IntegrityError):
                self.open_session(user.username, SignInMethod.OIDC, token, since=issued)
            row = self._session_row(token)
        if row is None or row.method != SignInMethod.OIDC or not self._is_live(row):
            return None
        self._touch(row)
        return user

    def sessions(self) -> tuple[ActiveSession, ...]:
        """Return the live sessions, the latest seen first."""
        return tuple(
            ActiveSession(
                row.id,
                row.username,
                SignInMethod(row.method),
                row.created_at,
                row.seen_at,
            )
            for row in self._session_rows()
            if self._is_live(row)
        )

    def revoke(self, token: str) -> None:
        """End the session of a token: its user signs out."""
        self._revoke(_opened_by(token), SIGN_OUT)

    def revoke_session(self, session_id: str, by: str) -> None:
        """End the session with an id from `sessions()`, on behalf of an administrator."""
        self._revoke(SignInRow.id == session_id, SESSION_REVOKED, by)

    def revoke_all(self, username: str, by: str) -> None:
        """End all sessions of a user, on behalf of an administrator."""
        self._revoke(SignInRow.username == username, SESSION_REVOKED, by)

    def record(self, who: str, action: str, target: str = "", detail: str = "") -> None:
        """Write one entry to the audit log; texts longer than the columns are cut."""
        with self._store.write() as session:
            session.add(self._audit_row(who, action, target, detail))

    def audit_log(
        self, limit: int = 200, who: str | None = None, action: str | None = None
    ) -> tuple[AuditEvent, ...]:
        """Return the latest entries of the audit log, newest first."""
        query = select(AuditRow).order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)
        if who is not None:
            query = query.where(AuditRow.who == who)
        if action is not None:
            query = query.where(AuditRow.action == action)
        with self._store.read() as session:
            return tuple(
                AuditEvent(row.at, row.who, row.action, row.target, row.detail)
                for row in session.scalars(query)
            )

    def _accounts(self) -> dict[str, Account]:
        if self.method is not SignInMethod.PASSWORD:
            return {}
        path = self._settings.users_file
        try:
            status = path.stat()
        except OSError:
            raise ConfigurationError(f"{path.name} is gone; put it back or restart.") from None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        read = self._read
        if read is None or read[0] != stamp:
            self._read = read = (stamp, read_accounts(path))
        return read[1]

    def _role_of(self, email: str) -> Role:
        for role, emails in (
            (Role.ADMIN, self._settings.admins),
            (Role.ANALYST, self._settings.analysts),
        ):
            if email and email in {entry.strip().lower() for entry in emails}:
                return role
        return Role.VIEWER

    def _issue_time(self, claims: Mapping[str, Any]) -> datetime | None:
        """Return when fresh claims were issued, None where that is unknown or too long ago."""
        now = self._now()
        try:
            issued = datetime.fromtimestamp(float(claims["iat"]), UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None
        oldest = now - timedelta(hours=self._settings.session_hours)
        return min(issued, now) if oldest < issued <= now + CLOCK_SKEW else None

    def _count_attempt(self, name: str, address: str) -> FailedSignInRow:
        """Return an attempt that may go on; raise SignInRefused while locked out."""
        now = self._now()
        attempt = FailedSignInRow(
            username=self._keyed_digest(name), address=_network(address), at=now
        )
        # Counted as a failure before the check, or many guesses at once would pass the lock.
        with self._store.write() as session:
            session.execute(delete(FailedSignInRow).where(FailedSignInRow.at <= now - LOCKOUT))
            session.add(attempt)
        locked_until = self._locked_until(attempt, FailedSignInRow.id != attempt.id)
        if locked_until is None:
            return attempt
        with self._store.write() as session:
            session.execute(delete(FailedSignInRow).where(FailedSignInRow.id == attempt.id))
        minutes = math.ceil((locked_until - now) / timedelta(minutes=1))
        raise SignInRefused(
            f"Too many failed sign-ins. Try again in {minutes} "
            f"{'minute' if minutes == 1 else 'minutes'}."
        )

    def _locked_until(
        self, attempt: FailedSignInRow, *among: ColumnElement[bool]
    ) -> datetime | None:
        same_user, same_address = _same_user_and_address(attempt)
        caps = (
            (FAILURES_PER_USER_AND_ADDRESS, (same_user, same_address)),
            (FAILURES_PER_ADDRESS, (same_address,)),
            (FAILURES_PER_USER, (same_user,)),
        )
        with self._store.read() as session:
            reached = [
                session.scalar(
                    select(FailedSignInRow.at)
                    .where(*same, *among, FailedSignInRow.at > attempt.at - LOCKOUT)
                    .order_by(FailedSignInRow.at.desc())
                    .offset(cap - 1)
                    .limit(1)
                )
                for cap, same in caps
            ]
        return max((at + LOCKOUT for at in reached if at is not None), default=None)

    def _record_refusal(self, who: str, address: str, attempt: FailedSignInRow) -> None:
        self.record(who, SIGN_IN_REFUSED, address)
        if self._locked_until(attempt) is not None:
            self.record(who, SIGN_IN_LOCKED, address)

    def _keyed_digest(self, name: str) -> str:
        # People type passwords into the name field, so the table must not hold what was typed.
        key = self._settings.cookie_key.get_secret_value().encode()
        return hmac.digest(key, name.encode(), "sha256").hex()

    def _fingerprint(self, username: str, method: SignInMethod) -> str:
        """Return a digest that changes with the password; a constant where there is none."""
        is_password = method is SignInMethod.PASSWORD
        return _digest(self._accounts()[username].password_hash if is_password else "")

    def _session_row(self, token: str) -> SignInRow | None:
        return next(iter(self._session_rows(_opened_by(token))), None)

    def _session_rows(self, *which: ColumnElement[bool]) -> Sequence[SignInRow]:
        """Return rows, the latest seen first, that outlive their transaction."""
        with self._store.read() as session:
            query = select(SignInRow).where(*which).order_by(SignInRow.seen_at.desc())
            rows = session.scalars(query).all()
            session.expunge_all()
            return rows

    def _is_live(self, row: SignInRow) -> bool:
        now = self._now()
        idle = timedelta(minutes=self._settings.idle_minutes)
        if row.revoked_at is not None or now >= row.expires_at or now - row.seen_at > idle:
            return False
        if row.method != self.method:
            return False
        if self.method is SignInMethod.PASSWORD and row.username not in self._accounts():
            return False
        return row.id.endswith(self._fingerprint(row.username, self.method))

    def _touch(self, row: SignInRow) -> None:
        now = self._now()
        idle = timedelta(minutes=self._settings.idle_minutes)
        if now - row.seen_at >= min(TOUCH_INTERVAL, idle / 2):
            with self._store.write() as session:
                session.execute(update(SignInRow).where(SignInRow.id == row.id).values(seen_at=now))

    def _revoke(self, which: ColumnElement[bool], action: str, by: str | None = None) -> None:
        with self._store.write() as session:
            open_rows = select(SignInRow).where(which, SignInRow.revoked_at.is_(None))
            for row in session.scalars(open_rows).all():
                row.revoked_at = self._now()
                session.add(self._audit_row(by or row.username, action, row.username))

    def _audit_row(self, who: str, action: str, target: str = "", detail: str = "") -> AuditRow:
        return AuditRow(
            at=self._now(),
            who=who[:WHO_LENGTH],
            action=action[:ACTION_LENGTH],
            target=target[:TARGET_LENGTH],
            detail=detail[:DETAIL_LENGTH],
        )


def open_identity(
    settings: Settings, store: Store, now: Callable[[], datetime] = utc_now
) -> Identity:
    """Return who may sign in; raise ConfigurationError where the settings let strangers in."""
    check_exposure(settings)
    return Identity(settings, store, now)


def _check_key(name: str, key: str) -> None:
    wrong = None
    if not key:
        wrong = "is missing"
    elif key.startswith(PLACEHOLDER):
        wrong = "is the placeholder of the example"
    elif len(key.encode()) < MIN_KEY_BYTES:
        wrong = f"is shorter than {MIN_KEY_BYTES} bytes"
    elif len(set(key)) < MIN_KEY_CHARACTERS:
        wrong = "repeats a few characters"
    if wrong:
        raise ConfigurationError(
            f"{name} {wrong}, so sign-in cookies could be forged. Set it to the output of: "
            'python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )


def _check_oidc(auth: Any) -> None:
    table: dict[str, Any] = auth if isinstance(auth, dict) else {}
    for name in ("redirect_uri", *OIDC_SECRETS):
        value = table.get(name)
        if not isinstance(value, str) or not value or value.startswith(PLACEHOLDER):
            raise ConfigurationError(
                f"auth.{name} in secrets.toml is missing or a placeholder. "
                "Set it to what your identity provider gave you."
            )
    _check_key("auth.cookie_secret in secrets.toml", table["cookie_secret"])


def _user_entries(path: Path) -> dict[Any, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        # Without the cause: its text would quote the file.
        raise ConfigurationError(f"{path.name} cannot be read as YAML. Correct it.") from None
    match document:
        case {"credentials": {"usernames": {**entries}}} if entries:
            return entries
    raise ConfigurationError(
        f"{path.name} has no users under credentials.usernames; see users.yaml.example."
    )


def _account(name: str, entry: Any, file: str) -> Account:
    values: dict[str, Any] = entry if isinstance(entry, dict) else {}
    if not name or len(name) > WHO_LENGTH:
        raise ConfigurationError(
            f"{file} has a username that is empty or longer than {WHO_LENGTH} characters."
        )
    password_hash = str(values.get("password", ""))
    found = BCRYPT_HASH.fullmatch(password_hash)
    if found is None:
        raise ConfigurationError(
            f"{file}: the password of {name!r} is not a bcrypt hash. "
            "Make one with the command in users.yaml.example."
        )
    if int(found[1]) not in BCRYPT_COSTS:
        raise ConfigurationError(
            f"{file}: the password hash of {name!r} has cost {int(found[1])}; "
            f"make it again with {BCRYPT_COSTS[0]} to {BCRYPT_COSTS[-1]}."
        )
    full_name = f"{values.get('first_name') or ''} {values.get('last_name') or ''}".strip()
    user = User(
        username=name,
        name=full_name or str(values.get("name") or name),
        email=str(values.get("email") or ""),
        role=_highest_role(values.get("roles") or [Role.VIEWER], name, file),
        method=SignInMethod.PASSWORD,
    )
    return Account(user, password_hash)


def _highest_role(roles: Any, name: str, file: str) -> Role:
    listed: Iterable[Any] = roles if isinstance(roles, list) else [roles]
    try:
        return max((Role(role) for role in listed), key=list(Role).index)
    except ValueError:
        raise ConfigurationError(
            f"{file}: a role of {name!r} is unknown. Roles are {', '.join(Role)}."
        ) from None


def _matches(password: str, password_hash: str) -> bool:
    typed = password.encode()
    right = bcrypt.checkpw(typed[:MAX_PASSWORD_BYTES], password_hash.encode())
    return right and len(typed) <= MAX_PASSWORD_BYTES


def _network(address: str) -> str:
    """Return what failures are counted by: an IPv6 customer owns a whole /64, not one address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed), 64), strict=False))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def _opened_by(token: str) -> ColumnElement[bool]:
    # The id starts with the token's digest; a range, unlike LIKE, uses the primary key.
    digest = _digest(token)
    return (SignInRow.id >= digest) & (SignInRow.id < f"{digest}g")


def _same_user_and_address(
    attempt: FailedSignInRow,
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return FailedSignInRow.username == attempt.username, FailedSignInRow.address == attempt.address
