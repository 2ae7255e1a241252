"""MkDocs hook: README, CONTRIBUTING and CHANGELOG become pages; links that leave docs/ lead to the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    root = Path(config.docs_dir).parent
    for source, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(root / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files, **_: Any) -> str:
    """Rewrite the links of a page, which are relative to its place in the repository."""
    sources = {name: source for source, name in ROOT_PAGES.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def rewritten(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link.group(2)))
        if target in ROOT_PAGES:
            target = ROOT_PAGES[target]
        elif target.startswith("docs/") and not target.endswith(".py"):  # programs are not part of the site
            target = target.removeprefix("docs/")
        else:
            target = f"{config.repo_url}/blob/main/{target}"
        return f"{link.group(1)}{target}{link.group(3)}"

    return _LINK.sub(rewritten, markdown)
