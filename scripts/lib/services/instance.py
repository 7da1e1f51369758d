"""One pair of servers: its data folder, and the passwords and ports that it keeps between starts."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from lib.console import ScriptError
from lib.paths import shown


def new_password() -> str:
    """Return a password that needs no quoting in SQL, in a URL or in a shell."""
    return secrets.token_urlsafe(24)


@dataclass
class Instance:
    """The content of instance.json, readable by its owner only."""

    data: Path
    superuser_password: str = field(default_factory=new_password)
    owner_password: str = field(default_factory=new_password)
    reader_password: str = field(default_factory=new_password)
    redis_password: str = field(default_factory=new_password)
    postgres_port: int | None = None
    redis_port: int | None = None

    @classmethod
    def load(cls, data: Path) -> Self | None:
        """Return the instance of this data folder, or None if there is none yet."""
        try:
            kept = json.loads((data / "instance.json").read_text())
        except FileNotFoundError:
            return None
        return cls(data=data, **kept)

    @classmethod
    def create(cls, data: Path) -> Self:
        """Create an instance in an empty or new folder."""
        data.mkdir(mode=0o711, parents=True, exist_ok=True)
        if any(file.name != "lock" for file in data.iterdir()):
            raise ScriptError(f"{shown(data)} holds something else: give an empty or a new folder to --data.")
        data.chmod(0o711)  # the servers' user must pass through; nobody needs to list it
        instance = cls(data)
        instance.save()
        return instance

    def save(self) -> None:
        """Write instance.json atomically."""
        kept = asdict(self)
        del kept["data"]
        draft = self.data / "instance.json.new"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file, indent=1)
        draft.rename(self.data / "instance.json")

    def urls(self) -> dict[str, str]:
        """Return the environment variables with the addresses of the servers."""
        database = f"127.0.0.1:{self.postgres_port}/wattstream"
        return {
            "TELEMETRY_URL": f"postgresql://wattstream_reader:{self.reader_password}@{database}",
            "TELEMETRY_ADMIN_URL": f"postgresql://wattstream_owner:{self.owner_password}@{database}",
            "REDIS_URL": f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0",
        }
