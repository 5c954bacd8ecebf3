"""Typed settings: environment first, then `.streamlit/secrets.toml`, then defaults.

Every field is read from `SIGHTLINE_<FIELD>` or from the `[sightline]` table of the secrets file.
Where a platform already has a name for the thing (`DATABASE_URL`, `AWS_REGION`), that works too.
"""

from __future__ import annotations

import ipaddress
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
SECRETS_FILE = ROOT / ".streamlit" / "secrets.toml"


class SecretsTable(PydanticBaseSettingsSource):
    """The `[sightline]` table of Streamlit's secrets file, as one source of settings."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of one field, its key, and that it is never JSON."""
        return read_secrets().get("sightline", {}).get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the fields that the table sets."""
        table = read_secrets().get("sightline", {})
        return {name: table[name] for name in self.settings_cls.model_fields if name in table}


class Settings(BaseSettings):
    """What an operator can set. Frozen: a change needs a restart, so every process agrees."""

    model_config = SettingsConfigDict(
        env_prefix="SIGHTLINE_", frozen=True, extra="ignore", populate_by_name=True
    )

    data_dir: Path = Field(ROOT / "var", description="Folder of the database, queue and indexes.")
    database_url: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("SIGHTLINE_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL URL; empty means a SQLite file in the data folder.",
    )
    queue_url: SecretStr = Field(
        SecretStr(""),
        description="redis:// or postgresql:// for the job queue; empty means a SQLite file.",
    )
    job_workers: int = Field(2, ge=1, le=64, description="Jobs that may run at the same time.")

    address: str = Field("127.0.0.1", description="Address the web server listens on.")
    port: int = Field(8501, ge=1, le=65535, description="Port the web server listens on.")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host names the server answers to; empty means loopback and its own name."
    )
    model_roots: tuple[Path, ...] = Field(
        (), description="Folders that models may be imported from; empty means from none."
    )
    canvas_domain: str = Field("", description="SageMaker domain whose Canvas is launched.")
    canvas_expires: int = Field(60, description="Seconds that a link into Canvas is good for.")
    canvas_session: int = Field(28_800, description="Seconds that a session of Canvas lasts.")
    canvas_landing: str = Field(
        "landing-uri", description="How a link leads into Canvas: landing-uri, or redirect."
    )
    canvas_role_arn: str = Field(
        "", description="Role that links are made as, narrowed to one profile; empty: our own."
    )
    canvas_function_url: str = Field(
        "", description="URL of the function that makes links instead; empty: we make them."
    )
    canvas_profile_rule: str = Field(
        "same-name", description="Whose profile: same-name, email or table."
    )
    canvas_launches_a_minute: int = Field(
        3, ge=1, le=60, description="Launches of Canvas that a user may make within a minute."
    )
    profile_roots: tuple[Path, ...] = Field(
        (), description="Folders whose folders Training offers as runs."
    )
    max_upload_mb: int = Field(
        16, ge=1, le=4_000, description="Largest upload, in megabytes; it is held in memory."
    )

    search_roots: tuple[Path, ...] = Field(
        (), description="Folders of this machine whose documents Search may index, with all below."
    )
    metrics_roots: tuple[Path, ...] = Field(
        (), description="Folders of this machine whose files detectors may watch, with all below."
    )
    metrics_databases: dict[str, SecretStr] = Field(
        {}, description="Databases that detectors may query, by name: sqlite:/// or postgresql://."
    )
    alert_channels: dict[str, SecretStr] = Field(
        {}, description="Addresses that alerts may tell, by name: https webhooks or apprise URLs."
    )
    alert_signing_key: SecretStr = Field(
        SecretStr(""), description="Key that signs webhooks of alerts by HMAC-SHA256; empty: none."
    )
    alert_private_hosts: tuple[str, ...] = Field(
        (), description="Hosts in private networks that webhooks of alerts may reach."
    )
    public_address: str = Field(
        "", description="URL of Sightline in links of notifications; empty means address and port."
    )
    opensearch_url: str | None = Field(
        None, description="OpenSearch cluster whose indexes Search may ask, by https."
    )
    opensearch_username: str = Field("", description="User name for that cluster.")
    opensearch_password: SecretStr = Field(SecretStr(""), description="Password for that cluster.")

    users_file: Path = Field(
        ROOT / ".streamlit" / "users.yaml", description="Users for sign-in by password."
    )
    cookie_key: SecretStr = Field(
        SecretStr(""), description="Key that signs the sign-in cookie: 32 bytes or more."
    )
    session_hours: float = Field(12, gt=0, le=12, description="A sign-in ends after this time.")
    idle_minutes: float = Field(30, gt=0, description="A sign-in ends after this time unused.")
    admins: tuple[str, ...] = Field((), description="E-mail addresses that OIDC signs in as admin.")
    analysts: tuple[str, ...] = Field(
        (), description="E-mail addresses that OIDC signs in as analyst; others are viewers."
    )

    aws_region: str | None = Field(
        None,
        validation_alias=AliasChoices("SIGHTLINE_AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        description="AWS region, for example us-east-1.",
    )
    aws_profile: str | None = Field(
        None,
        validation_alias=AliasChoices("SIGHTLINE_AWS_PROFILE", "AWS_PROFILE"),
        description="Profile in the AWS configuration files.",
    )
    aws_role_arn: str | None = Field(None, description="Role that every client assumes.")
    aws_endpoint_url: str | None = Field(
        None, description="Endpoint for all AWS services, for a gateway or a private network."
    )
    aws_connect_timeout: float = Field(5, gt=0, description="Seconds to wait for a connection.")
    aws_read_timeout: float = Field(60, gt=0, description="Seconds to wait for an answer.")
    aws_max_attempts: int = Field(
        3, ge=1, le=10, description="Tries of one call, the first included."
    )

    @field_validator("data_dir", "users_file")
    @classmethod
    def _from_the_checkout(cls, path: Path) -> Path:
        return path if path.is_absolute() else ROOT / path

    @property
    def store_url(self) -> str:
        """Return the SQLAlchemy URL of the store, the SQLite file unless one is set."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{self.data_dir / 'sightline.db'}"
        scheme, _, rest = url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url

    @property
    def public_url(self) -> str:
        """Return the URL of Sightline in links that leave it, without a slash at the end."""
        return self.public_address.rstrip("/") or f"http://{self.address}:{self.port}"

    @property
    def on_loopback(self) -> bool:
        """Tell whether only this machine can reach the server."""
        if self.address == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    @property
    def oidc_configured(self) -> bool:
        """Tell whether the secrets file has an `[auth]` table for OpenID Connect."""
        return "auth" in read_secrets()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence."""
        return init_settings, env_settings, SecretsTable(settings_cls)


def read_secrets() -> dict[str, Any]:
    """Return the secrets file as a dictionary, empty where there is none."""
    return tomllib.loads(SECRETS_FILE.read_text()) if SECRETS_FILE.exists() else {}


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings()
