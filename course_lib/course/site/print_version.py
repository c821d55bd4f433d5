"""The text of the book on one page, to print or to keep: the notebooks' pages after one another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bs4 import BeautifulSoup

SCROLLS = ".scroll,.cell_output,dl,table,pre"  # may be wider than the page: the keyboard must reach what it scrolls
STYLE = (
    "body{font:11pt/1.45 serif;max-width:46em;margin:2em auto;padding:0 1em}pre{white-space:pre-wrap;font-size:9pt;"
    "background:#f4f4f4;padding:.5em}img,svg{max-width:100%;height:auto}table{border-collapse:collapse;font-size:9pt}"
    "td,th{border:1px solid #999;padding:.1em .4em}section>h1{break-before:page}audio,.headerlink{display:none}"
    f"{SCROLLS}{{overflow-x:auto;max-width:100%}}table{{display:block}}pre,code,a{{overflow-wrap:anywhere}}"
)


def write(site: Path, names: Iterable[str]) -> Path:
    """Join the articles of the pages `names` (without .html) as `print.html`; their links and pictures lead on."""
    parts = []
    for number, name in enumerate(names):
        soup = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        article = soup.find("article")
        folder = name.rpartition("/")[0]
        for tag in article.select("a.headerlink, script, style, audio"):
            tag.decompose()
        for tag in article.find_all(id=True):
            tag["id"] = f"p{number}-{tag['id']}"
        for tag in article.find_all("details"):
            tag["open"] = ""
        for tag in article.select(SCROLLS):
            tag["tabindex"] = "0"
        for tag in article.select("details.hide > summary"):
            tag.attrs.clear()
            tag.string = "A solution"
        for tag in article.find_all(["a", "img"]):
            key = "href" if tag.name == "a" else "src"
            tag[key] = _moved(tag.get(key, ""), folder, number)
        parts.append(article.decode_contents())
    style = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><style>{STYLE}</style>"
    style += "<link rel='icon' href='_static/icon.svg'>"
    page = f"<!doctype html><html lang='en'><head>{style}<title>Signals from Scratch</title></head><body><main>"
    path = site / "print.html"
    path.write_text(page + "\n".join(parts) + "</main></body></html>\n", encoding="utf-8")
    return path


def _moved(address: str, folder: str, number: int) -> str:
    """An address of a page in `folder`, as it is from the site's root."""
    if address.startswith("#"):
        return f"#p{number}-{address[1:]}" if len(address) > 1 else "#"
    if not address or re.match(r"[a-z]+:", address):
        return address
    parts = f"{folder}/{address}".split("/")
    while ".." in parts:
        place = parts.index("..")
        del parts[max(place - 1, 0) : place + 1]
    return "/".join(part for part in parts if part)
