"""Sign-in: the form, the cookie, and who is signed in; the session table of the store decides.

Sign-in by password keeps streamlit-authenticator's signed cookie, but it names a session, not a
user: a copy of it opens nothing once that session was signed out, has expired or was revoked.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import Any

import jwt
import streamlit as st
from streamlit_authenticator.models import CookieModel

from lib.identity import (
    ConfigurationError,
    Identity,
    SignInMethod,
    SignInRefused,
    User,
    claims_token,
)
from lib.settings import Settings
from lib.store import utc_now

COOKIE = "sightline"
COOKIE_ALGORITHM = "HS256"
LOCAL = "local"

TOKEN = "sign_in.token"  # noqa: S105  a key of the session state; its value is never shown
OWNER = "sign_in.owner"  # whose drafts the session state holds
LEAVING = "sign_in.leaving"
COOKIE_TASK = "sign_in.cookie_task"
KEEP, FORGET = "keep", "forget"
REFUSAL = "sign_in.refusal"
USERNAME = "sign_in.username"
PASSWORD = "sign_in.password"  # noqa: S105  a key of the session state

ENDED = "Your session has ended. Sign in again to go on."
UNAVAILABLE = "Nobody can sign in at present: an administrator has to correct the configuration."
SINGLE_USER_ONLY = (
    "This Sightline runs in single-user mode and answers only on its own machine. "
    "Open it there, or ask its owner to set up sign-in."
)

LOGGER = logging.getLogger(__name__)


def current_user(identity: Identity, settings: Settings) -> User:
    """Return who is signed in; otherwise draw the way to sign in and stop the page."""
    try:
        user = _signed_in_user(identity, settings)
    except ConfigurationError as error:
        st.error(_unavailable(error), icon=":material/error:")
        user = None
    if user is None:
        st.stop()
    return user


def live_user(identity: Identity) -> User | None:
    """Return who is signed in at this moment, with today's role; draws nothing."""
    try:
        match identity.method:
            case SignInMethod.SINGLE_USER:
                return identity.single_user() if _client_address() == LOCAL else None
            case SignInMethod.PASSWORD:
                return identity.session_user(st.session_state.get(TOKEN, ""))
            case SignInMethod.OIDC:
                return _user_of_claims(identity, st.user.to_dict())[0]
    except ConfigurationError as error:
        _unavailable(error)
        return None


def sign_out() -> None:
    """Rerun the page without its user: the guard ends the session before it draws anything."""
    st.session_state[LEAVING] = True
    st.rerun()


def _signed_in_user(identity: Identity, settings: Settings) -> User | None:
    match identity.method:
        case SignInMethod.SINGLE_USER:
            return _single_user(identity)
        case SignInMethod.PASSWORD:
            return _password_user(identity, settings)
        case SignInMethod.OIDC:
            return _oidc_user(identity)


def _single_user(identity: Identity) -> User | None:
    # Backs up the check at the start, which goes by what the settings say.
    if _client_address() == LOCAL:
        return identity.single_user()
    st.error(SINGLE_USER_ONLY, icon=":material/error:")
    return None


def _password_user(identity: Identity, settings: Settings) -> User | None:
    token = st.session_state.get(TOKEN) or _read_cookie(settings)
    if LEAVING in st.session_state:
        identity.revoke(token)
        st.session_state.clear()
        st.session_state[COOKIE_TASK] = FORGET
    user = identity.session_user(token)
    if user is None:
        _draw_form(identity)
    else:
        st.session_state[TOKEN] = token
        st.session_state[OWNER] = user.username
    _update_cookie(token, settings)
    return user


def _draw_form(identity: Identity) -> None:
    with _narrow_column(), st.form("sign_in.form", width=380):
        st.title("Sightline", anchor=False)
        _draw_refusal(st.session_state.get(REFUSAL, ENDED if TOKEN in st.session_state else ""))
        st.text_input("Username", key=USERNAME, autocomplete="username", max_chars=200)
        st.text_input("Password", key=PASSWORD, type="password", autocomplete="current-password")
        st.form_submit_button(
            "Sign in", type="primary", width="stretch", on_click=_submit, args=(identity,)
        )


def _submit(identity: Identity) -> None:
    """Take name and password from the form; remember the new session, or why there is none."""
    username, password = st.session_state[USERNAME], st.session_state[PASSWORD]
    st.session_state[PASSWORD] = ""
    if not username.strip() or not password:
        st.session_state[REFUSAL] = "Enter your username and your password."
        return
    try:
        user = identity.check_password(username, password, _client_address())
    except SignInRefused as refusal:
        st.session_state[REFUSAL] = str(refusal)
    except ConfigurationError as error:
        st.session_state[REFUSAL] = _unavailable(error)
    else:
        _begin_session(identity, user)


def _begin_session(identity: Identity, user: User) -> None:
    if st.session_state.get(OWNER) != user.username:
        st.session_state.clear()  # the drafts in this tab are somebody else's
    token = secrets.token_urlsafe(32)
    identity.open_session(user.username, SignInMethod.PASSWORD, token, address=_client_address())
    st.session_state.pop(REFUSAL, None)
    st.session_state[TOKEN] = token
    st.session_state[COOKIE_TASK] = KEEP


def _oidc_user(identity: Identity) -> User | None:
    claims = st.user.to_dict()
    if LEAVING in st.session_state:
        identity.revoke(claims_token(claims))
        st.session_state.clear()
        st.logout()
        return None
    user, refusal = _user_of_claims(identity, claims)
    if user is None:
        with _narrow_column(), st.container(border=True, width=380):
            st.title("Sightline", anchor=False)
            _draw_refusal(refusal)
            st.button("Sign in", type="primary", width="stretch", on_click=st.login)
    return user


def _user_of_claims(identity: Identity, claims: dict[str, Any]) -> tuple[User | None, str]:
    if not claims.get("is_logged_in"):
        return None, ""
    try:
        user = identity.oidc_user(claims)
    except SignInRefused as refusal:
        return None, str(refusal)
    return user, "" if user else ENDED


def _narrow_column() -> st.delta_generator.DeltaGenerator:
    return st.container(horizontal_alignment="center", key="sign_in")


def _draw_refusal(refusal: str) -> None:
    if refusal:
        st.error(refusal, icon=":material/error:")


def _unavailable(error: ConfigurationError) -> str:
    LOGGER.error("Sign-in is not available: %s", error)
    return UNAVAILABLE


def _client_address() -> str:
    """Return the browser's address, `LOCAL` for this machine's own, which Streamlit gives none."""
    address = st.context.ip_address
    return address if isinstance(address, str) else LOCAL


def _read_cookie(settings: Settings) -> str:
    """Return the session token in the browser's cookie, empty where there is no genuine one."""
    # CookieModel.get_cookie needs an iframe on the page, and a second run of every first page.
    cookie = st.context.cookies.get(COOKIE, "")
    try:
        claims = jwt.decode(
            cookie, settings.cookie_key.get_secret_value(), algorithms=[COOKIE_ALGORITHM]
        )
    except jwt.InvalidTokenError:
        return ""
    return str(claims.get("username", ""))


def _update_cookie(token: str, settings: Settings) -> None:
    """Have the browser keep or forget the cookie; drawn until the browser answers that it has."""
    task = st.session_state.get(COOKIE_TASK)
    if task is None:
        return
    answer = f"{COOKIE_TASK}.{task}"
    if st.session_state.get(answer):
        del st.session_state[COOKIE_TASK]
        return
    st.html("<style>.st-key-sign_in_cookie { display: none; }</style>")
    with st.container(key="sign_in_cookie"):
        cookie = CookieModel(
            COOKIE, settings.cookie_key.get_secret_value(), settings.session_hours / 24
        )
        if task == KEEP:
            _keep(cookie, token, answer)
        else:
            cookie.cookie_manager.cookies.setdefault(COOKIE, "")  # it forgets only what it has seen
            cookie.cookie_manager.delete(COOKIE, key=answer)


def _keep(cookie: CookieModel, token: str, answer: str) -> None:
    # CookieModel.set_cookie knows no Secure, and gives the expiry in the server's time zone.
    expires_at = utc_now() + timedelta(days=cookie.cookie_expiry_days)
    claims = {"username": token, "exp_date": expires_at.timestamp()}
    cookie.cookie_manager.set(
        COOKIE,
        jwt.encode(claims, cookie.cookie_key, algorithm=COOKIE_ALGORITHM),
        key=answer,
        expires_at=expires_at,
        secure=(st.context.url or "").startswith("https:"),
        same_site="strict",
    )
