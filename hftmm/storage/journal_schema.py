"""The tables of the journal, by version."""

from __future__ import annotations

from typing import Final

APPLICATION: Final = 0x68667431
"""Marks the file as a journal of ours ("hft1"), so that no other database is written to."""

MIGRATIONS: Final = (
    """
    CREATE TABLE listings (key TEXT PRIMARY KEY, definition TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE orders (
        client_id TEXT PRIMARY KEY, listing TEXT NOT NULL, strategy TEXT NOT NULL,
        side TEXT NOT NULL, price TEXT NOT NULL, size TEXT NOT NULL, post_only INTEGER NOT NULL,
        time_in_force TEXT NOT NULL, reduce_only INTEGER NOT NULL, created_ns INTEGER NOT NULL,
        venue_id TEXT NOT NULL, state TEXT NOT NULL, unsettled INTEGER NOT NULL,
        filled TEXT NOT NULL, venue_ns INTEGER NOT NULL, rejection TEXT NOT NULL,
        text TEXT NOT NULL, changed_ns INTEGER NOT NULL
    );
    CREATE INDEX unsettled_orders ON orders (unsettled) WHERE unsettled;
    CREATE TABLE updates (
        ns INTEGER NOT NULL, client_id TEXT NOT NULL, state TEXT NOT NULL, filled TEXT NOT NULL,
        price TEXT NOT NULL, size TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE TABLE fills (
        listing TEXT NOT NULL, trade_id TEXT NOT NULL, client_id TEXT NOT NULL,
        venue_id TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, size TEXT NOT NULL,
        fee TEXT, fee_asset TEXT NOT NULL, maker INTEGER NOT NULL, venue_ns INTEGER NOT NULL,
        received_ns INTEGER NOT NULL, booked_ns INTEGER NOT NULL,
        PRIMARY KEY (listing, trade_id)
    );
    CREATE INDEX fills_of_order ON fills (client_id);
    CREATE INDEX fills_by_time ON fills (listing, venue_ns);
    CREATE TABLE fundings (
        venue TEXT NOT NULL, listing TEXT NOT NULL, asset TEXT NOT NULL, amount TEXT NOT NULL,
        venue_ns INTEGER NOT NULL, received_ns INTEGER NOT NULL, booked_ns INTEGER NOT NULL,
        PRIMARY KEY (venue, listing, asset, venue_ns)
    );
    CREATE TABLE notes (
        ns INTEGER NOT NULL, level TEXT NOT NULL, venue TEXT NOT NULL, event TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE TABLE kill_states (ns INTEGER NOT NULL, reason TEXT NOT NULL);
    CREATE TABLE pnl_marks (
        ns INTEGER NOT NULL, listing TEXT NOT NULL, position TEXT NOT NULL,
        realised TEXT NOT NULL, unrealised TEXT NOT NULL, fees TEXT NOT NULL,
        funding TEXT NOT NULL
    );
    CREATE TABLE openings (
        ns INTEGER PRIMARY KEY, peak TEXT NOT NULL, fill_row INTEGER NOT NULL,
        funding_row INTEGER NOT NULL
    );
    CREATE TABLE opening_balances (
        ns INTEGER NOT NULL, venue TEXT NOT NULL, wallet TEXT NOT NULL, asset TEXT NOT NULL,
        total TEXT NOT NULL, PRIMARY KEY (ns, venue, wallet, asset)
    );
    CREATE TABLE opening_positions (
        ns INTEGER NOT NULL, listing TEXT NOT NULL, size TEXT NOT NULL, entry TEXT, mark TEXT,
        made TEXT NOT NULL, PRIMARY KEY (ns, listing)
    );
    """,
)
"""Scripts from each version to the next; a published one is never changed."""

VERSION: Final = len(MIGRATIONS)

LISTING: Final = "INSERT OR REPLACE INTO listings VALUES (?, ?)"
ORDER: Final = """
    INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (client_id) DO UPDATE SET
        price = excluded.price, size = excluded.size, venue_id = excluded.venue_id,
        state = excluded.state, unsettled = excluded.unsettled, filled = excluded.filled,
        venue_ns = excluded.venue_ns, rejection = excluded.rejection, text = excluded.text,
        changed_ns = excluded.changed_ns
"""
UPDATE: Final = "INSERT INTO updates VALUES (?, ?, ?, ?, ?, ?, ?)"
# A trade is written once; a fee that is told later completes it.
FILL: Final = """
    INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (listing, trade_id) DO UPDATE SET
        fee = excluded.fee, fee_asset = excluded.fee_asset
        WHERE fee IS NULL AND excluded.fee IS NOT NULL
"""
FUNDING: Final = "INSERT OR IGNORE INTO fundings VALUES (?, ?, ?, ?, ?, ?, ?)"
NOTE: Final = "INSERT INTO notes VALUES (?, ?, ?, ?, ?)"
KILL: Final = "INSERT INTO kill_states VALUES (?, ?)"
PNL: Final = "INSERT INTO pnl_marks VALUES (?, ?, ?, ?, ?, ?, ?)"
# What was booked by then is part of the opening.
OPENING: Final = """
    INSERT OR REPLACE INTO openings SELECT
        ?, ?, (SELECT coalesce(max(rowid), 0) FROM fills),
        (SELECT coalesce(max(rowid), 0) FROM fundings)
"""
OPENING_BALANCE: Final = "INSERT OR REPLACE INTO opening_balances VALUES (?, ?, ?, ?, ?)"
OPENING_POSITION: Final = "INSERT OR REPLACE INTO opening_positions VALUES (?, ?, ?, ?, ?, ?)"
