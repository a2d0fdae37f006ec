"""The README as an index shows it: a page there has no folder, so images and links need absolute addresses."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def absolute(text: str, address: str) -> str:
    """The text with its relative links below the repository's address; unchanged without one."""
    return re.sub(r"\]\((?!https?:|#)", f"]({address.rstrip('/')}/raw/HEAD/", text) if address else text


class Readme(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        address = metadata.get("urls", {}).get("Repository", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, address)}
