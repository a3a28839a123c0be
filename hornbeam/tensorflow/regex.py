"""Regular expressions in the syntax of RE2, which TensorFlow uses, by Python's `re`."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable

__all__ = ["compiled", "full_match", "replaced"]

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TOKENS = re.compile(
    r"""\\Q(?P<quoted>.*?)(?:\\E|$)
    | \\[pP](?P<kind>\{\^?\w+\}|\w)
    | \\x\{(?P<code>[0-9A-Fa-f]+)\}
    | \[:(?P<not>\^?)(?P<posix>[a-z]+):\]
    | (?P<escape>\\.)
    | (?P<open>\[\^?\]?)
    | (?P<flags>\(\?[imsU-]+[:)])
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@functools.lru_cache
def _unicode_class(kind: str) -> str:
    """Return the ranges of the characters of a Unicode category, such as `L` or `Lu`."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(kind):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    if not ranges:
        raise ValueError(f"A regular expression has an unknown kind of characters: {kind!r}.")
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


@functools.lru_cache
def _others(posix: str) -> str:
    """Return the characters that are not in a class."""
    known = re.compile(f"[{_POSIX[posix]}]")
    ascii_ones = [f"\\x{code:02x}" for code in range(128) if not known.match(chr(code))]
    return "".join(ascii_ones) + r"\x80-\U0010ffff"


def _token(match: re.Match[str], inside: bool) -> str:
    """Return a token of RE2 in Python's syntax, in or outside of a set of characters."""
    found = match.groupdict()
    if found["quoted"] is not None:
        return re.escape(found["quoted"])
    if found["kind"]:
        negated = match.group()[1] == "P"
        kind = found["kind"].strip("{}")
        if kind.startswith("^"):
            negated, kind = not negated, kind[1:]
        ranges = _unicode_class(kind)
        if inside and negated:
            raise ValueError(f"{match.group()} inside of a set of characters is not supported.")
        return ranges if inside else f"[{'^' * negated}{ranges}]"
    if found["code"]:
        return f"\\U{int(found['code'], 16):08x}"
    if found["posix"] and inside:
        if found["posix"] not in _POSIX:
            raise ValueError(f"{match.group()} in a regular expression is not known.")
        return _others(found["posix"]) if found["not"] else _POSIX[found["posix"]]
    text = match.group()
    if text == "\\z" or (text == "$" and not inside):
        return r"\Z"
    if inside and text in "[&|~-" and text != "-":
        return "\\" + text
    return text


@functools.lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of RE2 as one of Python.

    Raises:
        ValueError: If it is no pattern, or uses what Python has not.

    Example:
        >>> compiled("[[:digit:]]+$").findall("a12")
        ['12']
    """
    parts: list[str] = []
    place, inside, many_lines = 0, False, "(?m" in pattern
    while place < len(pattern):
        match = _TOKENS.match(pattern, place)
        assert match is not None
        if not inside and match["open"]:
            inside = True
            parts.append(match.group().replace("]", "\\]"))
        elif not inside and (match["posix"] or match["open"]):
            parts.append(re.escape(match.group()))
        elif inside and match.group() == "]":
            inside = False
            parts.append("]")
        elif inside and match["open"]:  # a bracket is a character in a set
            parts.append("\\[")
            place += 1
            continue
        elif match.group() == "$" and many_lines:
            parts.append("$")
        else:
            parts.append(_token(match, inside))
        place = match.end()
    try:
        return re.compile("".join(parts), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(f"Invalid regular expression {pattern!r}: {error}.") from None


def _rewriting(rewrite: str, groups: int) -> Callable[[re.Match[str]], str]:
    parts: list[str | int] = []
    for piece in re.findall(r"\\.?|[^\\]+", rewrite, re.DOTALL):
        if piece[0] != "\\":
            parts.append(piece)
        elif piece[1:].isdigit() and int(piece[1:]) <= groups:
            parts.append(int(piece[1:]))
        elif piece == "\\\\":
            parts.append("\\")
        else:
            raise ValueError(
                f"regex_replace: `rewrite` {rewrite!r} is invalid: after a backslash stands another"
                f" one, or the number of one of {groups} groups."
            )
    return lambda match: "".join(
        part if isinstance(part, str) else (match.group(part) or "") for part in parts
    )


def replaced(pattern: str, rewrite: str, everywhere: bool) -> Callable[[bytes], bytes]:
    """Return a function that replaces what matches a pattern, everywhere or the first time.

    Example:
        >>> replaced("(a)(b)", r"\\2\\1", True)(b"abab")
        b'baba'
    """
    engine = compiled(pattern)
    if any(int(number) > engine.groups for number in re.findall(r"(?<!\\)\\(\d)", rewrite)):
        return lambda text: text  # as TensorFlow does
    write = _rewriting(rewrite, engine.groups)

    def replace(text: bytes) -> bytes:
        whole = text.decode("utf-8", "surrogateescape")
        parts, end = [], 0
        last = -1
        for match in engine.finditer(whole):
            if match.start() == match.end() == last:  # RE2 skips an empty match after a match
                continue
            parts += [whole[end : match.start()], write(match)]
            end = last = match.end()
            if not everywhere:
                break
        return "".join([*parts, whole[end:]]).encode("utf-8", "surrogateescape")

    return replace


def full_match(pattern: str) -> Callable[[bytes], bool]:
    """Return a function that tells whether a text matches a pattern as a whole."""
    engine = compiled(pattern)
    return lambda text: engine.fullmatch(text.decode("utf-8", "surrogateescape")) is not None
