"""What commands can be told: their options, each with its words of help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

from hftmm import paths
from hftmm.config import Config

_LONGEST_S: Final = 10 * 365 * 86_400

Mode: TypeAlias = Literal["sim", "paper", "demo", "live"]
ConfigFile = Annotated[
    Path | None, Parameter(help="Config file. Default: your own if there is one, else the shipped.")
]
WhichVenues = Annotated[
    Mode | None,
    Parameter(
        help="Which venues: sim, practice venues on this machine (the default); paper, real data"
        " without orders; demo, the venues' test networks; live.",
    ),
]
Duration = Annotated[
    float | None,
    Parameter(help="Seconds after which to end.", validator=Number(gt=0, lte=_LONGEST_S)),
]
Seed = Annotated[
    int | None, Parameter(help="Seed of the practice market; the same is the same order flow.")
]
VenuesFile = Annotated[
    Path | None,
    Parameter(help="Practice venues that already run: a file with what `hftmm venues` prints."),
]
Socket = Annotated[Path | None, Parameter(help="Socket of the engine. Default: the usual one.")]
Headless = Annotated[
    bool,
    Parameter(help="No terminal: one JSON object of status a second, logs apart."),
]
Inline = Annotated[bool, Parameter(help="Terminal and engine in one process.")]
Port = Annotated[
    int,
    Parameter(
        help="Port of the control face, which switches faults; 0 takes a free one.",
        validator=Number(gte=0, lte=65_535),
    ),
]
Capture = Annotated[
    Path, Parameter(help="Files in the capture format; several are merged by time.")
]
Json = Annotated[bool, Parameter(help="Print what became of them instead of showing it.")]
Depth = Annotated[
    int, Parameter(help="Levels a side to print of each book.", validator=Number(gte=0))
]
Speed = Annotated[
    float,
    Parameter(help="Pace on the screen; 1 is that of the recording.", validator=Number(gt=0)),
]
Flatten = Annotated[
    bool,
    Parameter(help="Then take every position to zero, within hedging.flatten_slippage_bps."),
]
Direct = Annotated[
    bool,
    Parameter(
        help="At the venues, by REST, without the engine, which may hang or be dead. Whole listings"
        " are cleared where a venue can, others' orders on this account with them."
    ),
]
Within = Annotated[
    float, Parameter(help="Seconds it may take.", validator=Number(gt=0, lte=_LONGEST_S))
]
Child = Annotated[bool, Parameter(show=False)]
Only = Annotated[
    Literal["market-making", "arbitrage"] | None,
    Parameter(help="Switch this on from the start and the other off; hedging is as configured."),
]


def socket_at(settings: Config, given: Path | None) -> Path:
    """Where the engine of these settings listens, unless another place is given."""
    if given is not None:
        return given.expanduser().absolute()
    return paths.socket_path(paths.state_folder(settings.engine.state_dir))
