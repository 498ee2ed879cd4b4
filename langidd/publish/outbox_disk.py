"""The outbox's file: SQLite, used by one thread of one process."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

T = TypeVar("T")

LOCK_WAIT_S: Final = 1.0
"""How long another process may hold the file before that counts as a fault."""

_SPARE_PAGES: Final = 64
"""Free pages that an empty file keeps for the next events."""

_LOG_PAGES: Final = 64
"""Pages in the write-ahead log before they move into the file; SQLite's own 1000 are 4 MB,
which a small disk does not have."""

_VERSION: Final = 1
_SET_OLD_ASIDE: Final = """
DROP TABLE IF EXISTS announced;
ALTER TABLE events RENAME TO old_events;
"""
_SCHEMA: Final = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE announced (topic TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE counter (used INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);
PRAGMA user_version = 1;
"""
_TAKE_OLD: Final = """
INSERT INTO events SELECT sequence, 'sequence ' || sequence, topic, payload FROM old_events;
UPDATE counter SET used = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'old_events'), 0);
DROP TABLE old_events;
"""
_SIZE: Final = "length(CAST(topic AS BLOB)) + length(payload)"


@dataclass(frozen=True, slots=True)
class Row:
    """An event that waits. `id` is the event's own and unique."""

    id: str
    topic: str
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return len(self.topic.encode()) + len(self.payload)


@dataclass(frozen=True, slots=True)
class Holding:
    """What the file holds after an operation, and how many events the operation dropped."""

    rows: int
    size: int
    dropped: int = 0


class Disk:
    """The database. Every method may raise sqlite3.Error.

    Args:
        path: The file.
        rows: The most events that it may hold.
        size: The most bytes of topics and payloads.

    """

    def __init__(self, path: Path, rows: int, size: int) -> None:
        self._path = path
        self._most_rows = rows
        self._most_bytes = size
        self._connection: sqlite3.Connection | None = None
        self._damaged = False
        self._rows = 0
        self._bytes = 0

    def open(self) -> tuple[int, Holding]:
        """Open the file; one that is damaged is moved aside first.

        Returns:
            The highest sequence number used so far, and what the file holds.

        """
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lost = 0
        if self._damaged:
            lost = self._rows
            self._move_aside(f"{lost} events in it were not sent")
        try:
            return self._open(lost)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self.close()
            self._move_aside(str(error))
            return self._open(lost)

    def _move_aside(self, why: str) -> None:
        aside = self._path.with_suffix(".unreadable")
        for end in ("", "-wal"):
            part = self._path.with_name(self._path.name + end)
            if part.exists():
                part.replace(aside.with_name(aside.name + end))
        self._damaged = False
        _log.error("outbox %s is damaged (%s); it was moved to %s", self._path, why, aside)

    def _open(self, dropped: int) -> tuple[int, Holding]:
        # Exclusive: a second process on the same file would send everything a second time.
        connection = sqlite3.connect(self._path, timeout=LOCK_WAIT_S, isolation_level=None)
        self._connection = connection
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            "journal_size_limit = 1048576",
            f"wal_autocheckpoint = {_LOG_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        self._migrate(connection)
        # A read-only directory, or another process's lock, must show now.
        with _transaction(connection):
            connection.execute("UPDATE counter SET used = used")
        used: int = connection.execute("SELECT used FROM counter").fetchone()[0]
        self._rows, self._bytes = connection.execute(
            f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM events"  # noqa: S608 - our own text
        ).fetchone()
        return used, self._holding(dropped)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
            return
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        old = "events" in tables
        script = (
            f"BEGIN IMMEDIATE;{_SET_OLD_ASIDE if old else ''}{_SCHEMA}{_TAKE_OLD if old else ''}"
        )
        try:
            connection.executescript(script + "COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _holding(self, dropped: int = 0) -> Holding:
        return Holding(self._rows, self._bytes, dropped)

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the outbox is not open")
        return self._connection

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do it in whole or not at all; on a full disk try again without the log.

        SQLite empties the write-ahead log only after a commit, so a log that filled the
        disk would stay for ever.
        """
        before = (self._rows, self._bytes)
        try:
            try:
                return work()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
                self._rows, self._bytes = before
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                return work()
        except sqlite3.Error as error:
            self._rows, self._bytes = before
            self._damaged = is_damage(error)
            raise

    def write(self, rows: Sequence[Row], used: int) -> Holding:
        """Add rows, in order; drop the oldest where there would be too many.

        Args:
            rows: Events; one that the file holds already is not added twice.
            used: The highest sequence number used so far.

        """
        return self._guarded(lambda: self._write(rows, used))

    def _write(self, rows: Sequence[Row], used: int) -> Holding:
        dropped = 0
        with _transaction(self._database) as database:
            database.execute("UPDATE counter SET used = max(used, ?)", (used,))
            for row in rows:
                added = database.execute(
                    "INSERT OR IGNORE INTO events (id, topic, payload) VALUES (?, ?, ?)",
                    (row.id, row.topic, row.payload),
                ).rowcount
                self._rows += added
                self._bytes += added * row.size
            while self._rows > self._most_rows or self._bytes > self._most_bytes:
                oldest, size = database.execute(
                    f"SELECT position, {_SIZE} FROM events ORDER BY position LIMIT 1"  # noqa: S608
                ).fetchone()
                database.execute("DELETE FROM events WHERE position = ?", (oldest,))
                self._rows -= 1
                self._bytes -= size
                dropped += 1
        return self._holding(dropped)

    def read(self, limit: int, without: Collection[str]) -> list[Row]:
        """Return the oldest rows, at most `limit`, leaving out those with these ids."""
        found: list[Row] = []
        for each in self._database.execute(
            "SELECT id, topic, payload FROM events ORDER BY position"
        ):
            if each[0] not in without:
                found.append(Row(*each))
                if len(found) == limit:
                    break
        return found

    def remove(self, identifiers: Collection[str]) -> Holding:
        """Delete the rows with these ids, where the file holds them."""
        return self._guarded(lambda: self._remove(identifiers))

    def _remove(self, identifiers: Collection[str]) -> Holding:
        with _transaction(self._database) as database:
            for identifier in identifiers:
                for (size,) in database.execute(
                    f"DELETE FROM events WHERE id = ? RETURNING {_SIZE}",  # noqa: S608
                    (identifier,),
                ).fetchall():
                    self._rows -= 1
                    self._bytes -= size
        free = self._database.execute("PRAGMA freelist_count").fetchone()[0]
        if not self._rows and free > _SPARE_PAGES:
            # A script is stepped to its end; `execute` would give back one page.
            self._database.executescript("PRAGMA incremental_vacuum")
        return self._holding()

    def remember(self, topics: Collection[str]) -> set[str]:
        """Remember these topics as announced; return all others that are remembered."""

        def work() -> set[str]:
            with _transaction(self._database) as database:
                database.executemany(
                    "INSERT OR IGNORE INTO announced VALUES (?)", [(each,) for each in topics]
                )
                return {row[0] for row in database.execute("SELECT topic FROM announced")}

        return self._guarded(work) - set(topics)

    def forget(self, topics: Collection[str]) -> None:
        """Forget announced topics: they were withdrawn."""

        def work() -> None:
            with _transaction(self._database) as database:
                database.executemany(
                    "DELETE FROM announced WHERE topic = ?", [(each,) for each in topics]
                )

        self._guarded(work)

    def close(self) -> None:
        """Close the database, if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def is_damage(error: sqlite3.Error) -> bool:
    """Say whether an error means that the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
