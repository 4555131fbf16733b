"""Formulae of the docs as MathML, made when the site is built: browsers draw it without a script."""

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)
LIMITS = {"span": "inline", "div": "block"}


def on_page_content(content: str, **_: object) -> str:
    """Replace the formulae of a page. Called by MkDocs."""
    return FORMULA.sub(_drawn, content)


def _drawn(found: re.Match[str]) -> str:
    tag, marked = found.groups()
    return convert(html.unescape(marked.strip())[2:-2], display=LIMITS[tag])
