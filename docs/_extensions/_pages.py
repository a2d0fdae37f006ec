"""Pages that are made: written into the source folder only where they changed, so that a second build is quick."""

from collections.abc import Iterable, Mapping
from pathlib import Path


def write(folder: Path, pages: Mapping[str, str]) -> None:
    """Make the folder hold these pages and no others."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in pages and old.is_file():
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def heading(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n\n"


def overview(rows: Iterable[tuple[str, ...]]) -> str:
    """A table that opens a page: what is on it, one row each; nothing for one row."""
    listed = list(rows)
    if len(listed) < 2:
        return ""
    text = ".. list-table::\n   :class: overview\n   :widths: auto\n\n"
    for first, *others in listed:
        text += f"   * - {first}\n" + "".join(f"     - {cell}\n" for cell in others)
    return text + "\n"
