"""The file of the outbox: SQLite, written by one thread of one process."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

T = TypeVar("T")

_SPARE_PAGES: Final = 64
"""Free pages that an empty file keeps for the next events."""

_LOG_PAGES: Final = 64
"""Pages in the write-ahead log before they move into the file; SQLite's own 1000 are 4 MB,
which a small disk does not have."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS announced (source TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """An event that waits; `sequence` rises by one with each event of the node."""

    sequence: int
    topic: str
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return len(self.topic) + len(self.payload)


@dataclass(frozen=True, slots=True)
class Holding:
    """What lies on disk, and how many rows were dropped to keep it bounded."""

    rows: int
    size: int
    dropped: int = 0


class Disk:
    """The database; used by the outbox's thread alone. Every method may raise sqlite3.Error."""

    def __init__(self, path: Path, rows: int, size: int) -> None:
        self._path = path
        self._most_rows = rows
        self._most_bytes = size
        self._connection: sqlite3.Connection | None = None
        self._rows = 0
        self._bytes = 0

    def open(self) -> tuple[int, Holding]:
        """Return the highest sequence ever used, and what lies there."""
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            # Not a database, or torn beyond use: kept for whoever wants to look.
            self.close()
            aside = self._path.with_suffix(".unreadable")
            self._path.replace(aside)
            _log.error("outbox %s is damaged (%s); it was moved to %s", self._path, error, aside)
            return self._open()

    def _open(self) -> tuple[int, Holding]:
        # Exclusive: a second process on the same file would send everything a second time.
        connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
        self._connection = connection
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 1048576")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        connection.executescript(_SCHEMA)
        # Writing nothing tells a read-only directory, or another's lock, at once.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM events WHERE sequence < 0")
        connection.execute("COMMIT")
        used = connection.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0] or 0
        self._rows, self._bytes = connection.execute(
            "SELECT count(*), coalesce(sum(length(CAST(topic AS BLOB)) + length(payload)), 0)"
            " FROM events"
        ).fetchone()
        return used, self._holding()

    def _holding(self, dropped: int = 0) -> Holding:
        return Holding(self._rows, self._bytes, dropped)

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the outbox is not open")
        return self._connection

    def write(self, rows: Sequence[Row]) -> Holding:
        """Add rows; drop the oldest where there would be too many."""
        before = (self._rows, self._bytes)
        try:
            return self._with_room(lambda: self._write(rows))
        except sqlite3.Error:
            self._rows, self._bytes = before
            raise

    def _with_room(self, work: Callable[[], T]) -> T:
        """Do it, on a full disk once more with the room that the write-ahead log took.

        SQLite empties the log after a commit only, so a log that filled the disk would
        stay as it is for ever.
        """
        before = (self._rows, self._bytes)
        try:
            return work()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            self._rows, self._bytes = before
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return work()

    def _write(self, rows: Sequence[Row]) -> Holding:
        dropped = 0
        with _Transaction(self._database) as database:
            database.executemany(
                "INSERT INTO events VALUES (?, ?, ?)",
                [(row.sequence, row.topic, row.payload) for row in rows],
            )
            self._rows += len(rows)
            self._bytes += sum(len(row.topic.encode()) + len(row.payload) for row in rows)
            while self._rows > self._most_rows or self._bytes > self._most_bytes:
                oldest, size = database.execute(
                    "SELECT sequence, length(CAST(topic AS BLOB)) + length(payload)"
                    " FROM events ORDER BY sequence LIMIT 1"
                ).fetchone()
                database.execute("DELETE FROM events WHERE sequence = ?", (oldest,))
                self._rows -= 1
                self._bytes -= size
                dropped += 1
        return self._holding(dropped)

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the oldest rows past a sequence."""
        found = self._database.execute(
            "SELECT sequence, topic, payload FROM events WHERE sequence > ?"
            " ORDER BY sequence LIMIT ?",
            (after, limit),
        )
        return [Row(*each) for each in found]

    def remove(self, through: int) -> Holding:
        """Delete the rows up to a sequence, that one too."""
        return self._with_room(lambda: self._remove(through))

    def _remove(self, through: int) -> Holding:
        with _Transaction(self._database) as database:
            gone, size = database.execute(
                "SELECT count(*), coalesce(sum(length(CAST(topic AS BLOB)) + length(payload)), 0)"
                " FROM events WHERE sequence <= ?",
                (through,),
            ).fetchone()
            database.execute("DELETE FROM events WHERE sequence <= ?", (through,))
        self._rows -= gone
        self._bytes -= size
        if not self._rows:
            self._shrink()
        return self._holding()

    def _shrink(self) -> None:
        free = self._database.execute("PRAGMA freelist_count").fetchone()[0]
        if free > _SPARE_PAGES:
            # A script is stepped to its end; `execute` would give back one page.
            self._database.executescript("PRAGMA incremental_vacuum")

    def replace_announced(self, sources: Sequence[str]) -> set[str]:
        """Remember which sources were announced; return those remembered until now."""
        return self._with_room(lambda: self._replace_announced(sources))

    def _replace_announced(self, sources: Sequence[str]) -> set[str]:
        with _Transaction(self._database) as database:
            before = {row[0] for row in database.execute("SELECT source FROM announced")}
            database.execute("DELETE FROM announced")
            database.executemany("INSERT INTO announced VALUES (?)", [(each,) for each in sources])
        return before

    def close(self) -> None:
        """Close the database, if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Transaction:
    """BEGIN, then COMMIT, or ROLLBACK where something was raised."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._database.execute("COMMIT")
            except sqlite3.Error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        elif self._database.in_transaction:
            self._database.execute("ROLLBACK")
