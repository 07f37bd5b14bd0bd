"""What can be set from outside: one table of fields, each with its environment variable, type, default and meaning.

Read once, when this module is imported. The command line changes fields of `settings` before anything else starts.
`docs/settings.md` is `as_markdown()` of this table.
"""

import contextlib
import getpass
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
APP_ROLE = "fhir_app"
OWNER_ROLE = "fhir_owner"
DATABASE = "fhir"


def _default_data() -> str:
    return str((ROOT if (ROOT / "dev.py").exists() else Path.cwd()) / ".salam")


def _row(env: str, default: Any, help: str, shown: str | None = None) -> Any:
    return field(default=default, metadata={"env": env, "help": help, "shown": shown})


@dataclass(slots=True)
class Settings:
    """The table. Every field can be given in the environment."""

    data_dir: str = _row(
        "SALAM_DATA", _default_data(), "Folder of the embedded servers' data, logs and the key.", ".salam"
    )
    host: str = _row("HOST", "127.0.0.1", "Address the web server listens on.")
    port: int = _row("PORT", 8080, "Port of the web server; 0 takes a free one.")
    hub_port: int = _row("SALAM_HUB_PORT", 0, "Port of the event hub; 0 takes the one after PORT, or a free one.")
    public_url: str = _row("SALAM_PUBLIC_URL", "", "Scheme and host as clients see them; empty: what the request says.")
    database_url: str = _row(
        "DATABASE_URL", "", "PostgreSQL to use instead of the embedded one (docs/howto/own-servers.md)."
    )
    migration_database_url: str = _row(
        "MIGRATION_DATABASE_URL", "", "As which user to migrate DATABASE_URL's database, when it is another one."
    )
    redis_url: str = _row("REDIS_URL", "", "Valkey or Redis to use instead of the embedded one.")
    secret_key_file: str = _row(
        "SALAM_SECRET_KEY_FILE",
        "",
        "Key that signs page links and wraps the keys of secrets; made on first use. Empty: secret.key in SALAM_DATA.",
    )
    web_workers: int = _row("SALAM_WEB_WORKERS", 2, "Processes of the web server.")
    web_threads: int = _row("SALAM_WEB_THREADS", 1, "Threads in each of them.")
    request_timeout_ms: int = _row(
        "SALAM_REQUEST_TIMEOUT_MS", 30_000, "Longest time one statement of a request may take."
    )
    request_cpu_seconds: int = _row(
        "SALAM_REQUEST_CPU_SECONDS", 60, "Processor time that ends a request's web process; another starts."
    )
    max_body_bytes: int = _row("SALAM_MAX_BODY_BYTES", 16 * 1024 * 1024, "Largest request body, unpacked.")
    max_depth: int = _row("SALAM_MAX_DEPTH", 64, "Deepest nesting of a body.")
    max_bundle_entries: int = _row("SALAM_MAX_BUNDLE_ENTRIES", 5_000, "Most entries of a batch or transaction.")
    max_includes: int = _row("SALAM_MAX_INCLUDES", 1_000, "Most resources that includes add to one page.")
    page_size: int = _row("SALAM_PAGE_SIZE", 20, "Resources on a page when the request does not say.")
    max_page_size: int = _row("SALAM_MAX_PAGE_SIZE", 1_000, "Most resources on a page.")
    max_nodes: int = _row("SALAM_MAX_NODES", 1_000_000, "Most values (or XML elements) in a body.")
    max_string_bytes: int = _row(
        "SALAM_MAX_STRING_BYTES", 1024 * 1024, "Longest string in a body, other than base64 data and narrative."
    )
    client_rate: int = _row(
        "SALAM_CLIENT_RATE", 600_000, "FHIR requests a minute for each user of a client; 0: no limit."
    )
    tenant_rate: int = _row("SALAM_TENANT_RATE", 2_000_000, "FHIR requests a minute for a tenant; 0: no limit.")
    trusted_proxies: str = _row(
        "SALAM_TRUSTED_PROXIES", "", "Networks of proxies whose X-Forwarded-* headers count, such as 10.0.0.0/8, ::1."
    )
    outbound_allow: str = _row(
        "SALAM_OUTBOUND_ALLOW",
        "",
        "host:port, separated by commas, that the server may call besides public https addresses (also by http).",
    )
    log_level: str = _row("SALAM_LOG_LEVEL", "info", "debug, info, warning or error.")
    smtp_url: str = _row(
        "SALAM_SMTP_URL", "", "Mail server, smtp(s)://user:password@host:port; empty: mails are files in SALAM_DATA."
    )
    mail_from: str = _row("SALAM_MAIL_FROM", "salam@localhost", "Sender of mails.")
    session_idle_minutes: int = _row(
        "SALAM_SESSION_IDLE_MINUTES", 30, "Minutes without a request after which a person has to sign in again."
    )
    session_hours: int = _row("SALAM_SESSION_HOURS", 12, "Longest time until a person has to sign in again.")
    twilio_account_sid: str = _row(
        "SALAM_TWILIO_ACCOUNT_SID", "", "Twilio account for SMS and WhatsApp; empty: a sandbox that sends nothing."
    )
    twilio_auth_token: str = _row(
        "SALAM_TWILIO_AUTH_TOKEN", "", "Its secret: signs in, and checks what Twilio tells."
    )
    twilio_from: str = _row(
        "SALAM_TWILIO_FROM", "", "Sender of SMS: a number (+212…), an alphanumeric name, or a messaging service (MG…)."
    )
    twilio_whatsapp_from: str = _row(
        "SALAM_TWILIO_WHATSAPP_FROM", "", "Number of the WhatsApp sender (+…); empty: no WhatsApp."
    )
    vapid_subject: str = _row(
        "SALAM_VAPID_SUBJECT",
        "",
        "mailto: or https: address of the operator, for push services; empty: SALAM_MAIL_FROM.",
    )
    production: int = _row(
        "SALAM_PRODUCTION", 0, "1 refuses the sandbox: channels without a provider's credentials send nothing."
    )
    hub_url: str = _row(
        "SALAM_HUB_URL", "", "Scheme and host of the event hub as clients see them; empty: HOST and the hub's port."
    )
    metrics_token: str = _row(
        "SALAM_METRICS_TOKEN", "", "Bearer token for /metrics; empty: only clients on this machine may read it."
    )

    def load(self, environ: Mapping[str, str]) -> None:
        """Take what the environment says. Raises ValueError with the variable's name for a value of the wrong kind."""
        for row in fields(self):
            text = environ.get(row.metadata["env"])
            if text is None or (not text and row.type is not str):
                continue
            try:
                setattr(self, row.name, int(text) if row.type is int else text)
            except ValueError:
                raise ValueError(f"{row.metadata['env']} must be a whole number, not {text!r}.") from None

    def run_dir(self) -> str:
        """The folder of the embedded servers' sockets (a link in the data folder when that lies too deep)."""
        return os.path.realpath(os.path.join(self.data_dir, "run"))

    def app_conninfo(self) -> str:
        """How the engine connects: always in the role that row-level security binds, with the deadline set."""
        options = f"-c role={APP_ROLE} -c statement_timeout={self.request_timeout_ms} -c lock_timeout=10000 -c jit=off"
        options += " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
        if self.database_url:
            return _with(self.database_url, options=options)
        return _with("", host=f"{self.run_dir()}/postgres", user=APP_ROLE, dbname=DATABASE, options=options)

    def owner_conninfo(self) -> str:
        """How migrations connect: as the owner of the tables."""
        if self.database_url:
            return _with(self.migration_database_url or self.database_url)
        return _with("", host=f"{self.run_dir()}/postgres", user=OWNER_ROLE, dbname=DATABASE)

    def app_user(self) -> str:
        """The database user that the engine logs in as (which then takes the role `fhir_app`)."""
        from psycopg.conninfo import conninfo_to_dict

        if not self.database_url:
            return APP_ROLE
        return str(conninfo_to_dict(self.database_url).get("user") or getpass.getuser())

    def fhir_base(self, slug: str) -> str:
        """A tenant's FHIR base URL, for the server's own work (requests bring theirs along)."""
        return f"{self.public_url.rstrip('/') or f'http://{self.host}:{self.port}'}/t/{slug}/fhir"

    def broker_url(self) -> str:
        """Where Valkey listens, as redis-py understands it."""
        return self.redis_url or f"unix://{self.run_dir()}/valkey/valkey.sock"

    def secret_key(self) -> bytes:
        """The key that signs page links: 32 random bytes, kept in a file that only its owner reads."""
        path = self.secret_key_file or os.path.join(self.data_dir, "secret.key")
        key = _keys.get(path)
        if key is None:
            key = _keys[path] = _read_or_make_key(path)
        return key

    def environment(self) -> dict[str, str]:
        """The table as environment variables, for the processes that the supervisor starts."""
        return {row.metadata["env"]: str(getattr(self, row.name)) for row in fields(self)}


_keys: dict[str, bytes] = {}


def _with(url: str, **parts: str) -> str:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    given = conninfo_to_dict(url)
    if "options" in parts and given.get("options"):
        parts["options"] = f"{given['options']} {parts['options']}"
    return make_conninfo(url, application_name="salam", client_encoding="UTF8", **parts)


def _read_or_make_key(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        pass
    # Written aside and linked into place: of several processes that start at once, one wins and all read its key.
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
    return Path(path).read_bytes()


def as_markdown() -> str:
    """The table for docs/settings.md."""
    lines = ["# Settings", "", "All are environment variables; none is required.", ""]
    lines += ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    for row in fields(Settings):
        default = row.metadata["shown"] or row.default
        cells = [f"`{row.metadata['env']}`", "number" if row.type is int else "text"]
        cells += [f"`{default}`" if default != "" else "", row.metadata["help"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


settings = Settings()
settings.load(os.environ)
