"""What one accepted request writes: found in the service's own database by looking before and after, and given to the bare SQLite
program (bare_sqlite.c), so that it commits the same rows into the same tables and indices."""

import re
import sqlite3

UUID = re.compile(r"^(req-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def open_to_read(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    database.row_factory = sqlite3.Row
    return database


class Rows:
    """The statements of one accept: what is in the database and not in the copy that was made before. A row stands behind those that
    it refers to, rows that are changed come last."""

    def __init__(self, path, copy, server):
        self.server = server
        self.statements = []
        self.written = []  # (table, "inserted" or "changed", how many indices the table has)
        self.inserted = {}  # (table, id) → its row, while it has no statement; then the statement's place
        changed = []
        database = open_to_read(path)
        try:
            database.execute("ATTACH ? AS before", (f"file:{copy}?mode=ro",))
            for table, place, before, row in self.differences(database):
                if before is None:
                    self.inserted[table, place] = row
                else:
                    changed.append((table, before, row))
        finally:
            database.close()
        waiting = dict(self.inserted)
        while waiting:
            key = next(key for key, row in waiting.items() if not self.references(row) & waiting.keys() - {key})
            self.insert(key, waiting.pop(key))
        for table, before, row in changed:
            self.update(table, before, row)

    def differences(self, database):
        """(table, row's id, the row before or None, the row)"""
        for (table,) in database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall():
            indices = database.execute("SELECT count(*) FROM main.sqlite_master WHERE type = 'index' AND tbl_name = ?", (table,)).fetchone()[0]
            for row in map(dict, database.execute(
                    f"SELECT rowid AS place, * FROM main.{table} EXCEPT SELECT rowid, * FROM before.{table}").fetchall()):
                place = row.pop("place")
                before = database.execute(f"SELECT * FROM before.{table} WHERE rowid = ?", (place,)).fetchone()
                self.written.append((table, "changed" if before else "inserted", indices))
                yield table, place, before and dict(before), row

    def reference(self, column, value):
        """The inserted row that the column names; None where it names none."""
        for table, place in self.inserted:
            if column.endswith("_id") and place == value and column[:-3] in (table[:-1], table.split("_")[-1][:-1]):
                return table, place
        return None

    def references(self, row):
        return {self.reference(column, value) for column, value in row.items()} - {None}

    def insert(self, key, row):
        columns = [name for name in row if name != "id"]
        names = ", ".join(f'"{name}"' for name in columns)
        self.statements.append({"sql": f"INSERT INTO {key[0]} ({names}) VALUES ({', '.join('?' * len(columns))})",
                                "values": [self.value(name, row[name]) for name in columns]})
        self.inserted[key] = len(self.statements) - 1

    def update(self, table, before, after):
        changed = [name for name in after if after[name] != before[name]]
        key = "uuid" if after.get("uuid") == self.server else "server_uuid"
        if after.get(key) != self.server:
            raise ValueError(f"an accepted request changes a row of {table} that is not its server's")
        names = ", ".join(f'"{name}" = ?' for name in changed)
        self.statements.append({"sql": f"UPDATE {table} SET {names} WHERE {key} = ?",
                                "values": [*(self.value(name, after[name]) for name in changed), {"server": True}]})

    def value(self, column, value):
        if value == self.server:
            return {"server": True}
        if isinstance(value, str) and UUID.match(value):
            return {"fresh": "req" if value.startswith("req-") else "uuid"}
        if column.endswith("_us") and value:
            return {"now": True}
        reference = self.reference(column, value)
        return {"row": self.inserted[reference]} if reference else value
