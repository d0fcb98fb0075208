"""`tsunagu devices import|undo`: devices by CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tsunagu.up.device_tools.action import BASE, Action, file_content, shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tsunagu.up.device_tools.action import Lines
    from tsunagu.up.remote import Remote


def _import(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.send(
        "POST",
        f"{BASE}/import",
        content=file_content(options.file),
        headers={"Content-Type": "text/csv"},
        apikey=options.apikey,
        entity_type=options.entity_type,
        timezone=options.timezone,
        dryRun="true" if options.dry_run else None,
    )

    def lines() -> Iterator[str]:
        counts = ", ".join(f"{found[name]} {name}" for name in ("created", "changed", "unchanged", "rejected"))
        yield f"{'would be: ' if found['dryRun'] else ''}{counts}"
        yield from (f"  row {one['row']}: {one['detail']}" for one in found["rows"] if one["status"] == "rejected")
        if "import" in found:
            yield f"take it back with: tsunagu devices undo {found['import']}"

    return shown(found, options, lines)


def _undo(remote: Remote, options: argparse.Namespace) -> Lines:
    found = remote.post(f"{BASE}/imports/{quote(options.key, safe='')}/undo")
    return shown(found, options, lambda: [f"{found['removed']} removed, {found['restored']} as before"])


ACTIONS: dict[str, Action] = {
    "import": Action(
        _import,
        "provision devices from CSV, row by row",
        {
            "file": {"help": "CSV in UTF-8 or Shift_JIS; - reads the standard input"},
            "--apikey": {"help": "apikey of rows that have none"},
            "--entity-type": {"help": "entity type of rows that have none"},
            "--timezone": {"help": "zone of rows that have none"},
            "--dry-run": {"action": "store_true", "help": "only say what would become of each row"},
        },
    ),
    "undo": Action(_undo, "take an import back", {"key": {"help": "what the import printed"}}),
}
