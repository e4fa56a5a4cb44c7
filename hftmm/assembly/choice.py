"""The config a command runs with: a file, and what the command line says in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hftmm import paths
from hftmm.config import Config, load
from hftmm.toml.document import Problem
from hftmm.toml.structs import shown, unknown
from hftmm.venues import registry

_OPTIONS: Final[Mapping[str, str]] = {"engine.mode": "--mode", "practice.seed": "--seed"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a command line chose.

    Attributes:
        file: config file; None is the user's own, or the shipped.
        overrides: values by dotted key; None leaves the file's.
    """

    file: Path | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file that is read."""
        return self.file or paths.default_config()

    def load(self) -> Config:
        """
        Raises:
            ConfigError: the first thing wrong, names that other layers define included.
        """
        given = {key: value for key, value in self.overrides.items() if value is not None}
        return load(self.path, given, registry.names(), _unknown_names)

    def words(self, *keys: str) -> list[str]:
        """The same choice as arguments of a command, of these overridden keys."""
        words = ["--config", str(self.path.absolute())]
        for key in keys:
            value = self.overrides.get(key)
            if value is not None:
                words += [_OPTIONS[key], str(value)]
        return words


def _unknown_names(config: Config) -> Iterator[Problem]:
    """Names of hosts, keys and themes, which the config itself cannot know."""
    for name, venue in config.venues.items():
        if venue.hosts:
            known = registry.codec(name, config, venue).hosts("live")
            for host, _ in venue.hosts:
                if host not in known:
                    yield unknown("host", ("venues", name, "hosts", host), known)
    if config.terminal.keys:
        from hftmm.terminal.bindings import KEYS

        actions = [key.name for key in KEYS]
        for action, _ in config.terminal.keys:
            if action not in actions:
                yield unknown("action", ("terminal", "keys", action), actions)
    themes = sorted({file.stem for folder in paths.themes_folders() for file in _themes(folder)})
    if config.terminal.theme not in themes:
        what = f"no theme {shown(config.terminal.theme)}"
        yield Problem(("terminal", "theme"), what, ", ".join(themes))


def _themes(folder: Path) -> Iterator[Path]:
    return folder.glob("*.toml")
