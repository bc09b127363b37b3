#!/usr/bin/env python3
"""Turns unpacked Debian packages into plain text: the second half of get-text.sh.

usage: extract-text.py small|large WORK OUT

WORK/root holds the unpacked packages, WORK/*.imp the Bible modules as mod2imp writes them. Under OUT
come UTF-8 files, one document each, paragraphs separated by blank lines. Standard library only.
"""
import gzip
import os
import re
import struct
import sys
import zlib
from html import unescape
from html.parser import HTMLParser


def fail(message):
    sys.exit(f"extract-text: {message}")


def write(out, name, paragraphs):
    """One document; nothing when it has no text."""
    text = "\n\n".join(p for p in paragraphs if p)
    if not text.strip():
        return
    path = os.path.join(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(text.rstrip() + "\n")


def flow(text):
    """Running text on one line."""
    return " ".join(text.split())


# ---- Bible: one file a chapter -------------------------------------------------------------------


def osis_to_text(markup):
    """OSIS to text: notes and editors' titles go, paragraphs and lines of verse become line breaks."""
    markup = flow(markup)
    markup = re.sub(r"<note\b.*?</note>", "", markup)
    markup = re.sub(r"<title\b[^>]*canonical=\"true\"[^>]*>(.*?)</title>", r"\n\n\1\n\n", markup)
    markup = re.sub(r"<(title|speaker)\b[^>/]*>.*?</\1>", "", markup)
    markup = re.sub(r"<div\b(?=[^>]*\bsID=)(?=[^>]*type=\"x-p\")[^>]*>", "\n\n", markup)
    markup = re.sub(r"<(?:lg|list)\b[^>]*>", "\n\n", markup)
    markup = re.sub(r"<(?:l\b[^>]*\bsID=|lb\b|item\b)[^>]*>", "\n", markup)
    return unescape(re.sub(r"<[^>]+>", "", markup)).replace("\u00b6", "")


def tidy(chapter):
    paragraphs = []
    for block in re.split(r"\n[ \t]*\n\s*", chapter):
        lines = [re.sub(r" ([,.;:?!])", r"\1", flow(line)) for line in block.split("\n")]
        paragraphs.append("\n".join(line for line in lines if line))
    return paragraphs


def bible(path, out, name):
    books, chapters = {}, {}
    for record in open(path, encoding="utf-8", errors="replace").read().split("$$$")[1:]:
        key, _, markup = record.partition("\n")
        match = re.fullmatch(r"(.+) (\d+):(\d+)", key.strip())
        if not match or match[2] == "0" or match[3] == "0":
            continue
        number = books.setdefault(match[1], len(books) + 1)
        chapters.setdefault((number, match[1], int(match[2])), []).append(osis_to_text(markup.strip()))
    if len(chapters) < 1000:
        fail(f"{path}: only {len(chapters)} chapters found")
    for (number, book, chapter), verses in chapters.items():
        paragraphs = tidy(" ".join(verses))
        if any(paragraphs):
            folder = f"{number:02d}-{book.replace(' ', '-')}"
            write(out, f"{name}/{folder}/{chapter:03d}.txt", [f"{book} {chapter}"] + paragraphs)


# ---- Pride and Prejudice: one file a chapter -----------------------------------------------------


def r_strings(data):
    """The strings of one R object: a serialized (XDR) character vector."""
    if data[:2] != b"X\n":
        return []
    version = struct.unpack(">i", data[2:6])[0]
    at = 14
    if version >= 3:  # the name of the native encoding
        at += 4 + struct.unpack(">i", data[at : at + 4])[0]
    kind, count = struct.unpack(">2i", data[at : at + 8])
    at += 8
    strings = []
    if kind & 255 != 16:
        return strings
    for _ in range(count):
        _, size = struct.unpack(">2i", data[at : at + 8])
        at += 8
        strings.append(data[at : at + max(size, 0)].decode("utf-8", "replace"))
        at += max(size, 0)
    return strings


def pride(path, out):
    data = open(path, "rb").read()
    while data:  # each object: its length in 4 bytes, then a zlib stream
        stream = zlib.decompressobj()
        lines = r_strings(stream.decompress(data[4:]))
        data = stream.unused_data
        if lines and lines[0].strip() == "PRIDE AND PREJUDICE":
            break
    else:
        fail(f"{path}: Pride and Prejudice is not in it")
    chapters = re.split(r"\n\n+(?=Chapter \d+\n)", "\n".join(line.rstrip() for line in lines))[1:]
    for number, chapter in enumerate(chapters, 1):
        paragraphs = [flow(p) for p in re.split(r"\n\n+", chapter)]
        write(out, f"pride-and-prejudice/{number:02d}.txt", paragraphs)


# ---- Documentation -------------------------------------------------------------------------------


class Text(HTMLParser):
    """HTML to paragraphs; preformatted text keeps its lines."""

    BREAK = set(
        "address article aside blockquote br caption dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 "
        "h6 header hr li main nav ol p pre section table td th tr ul".split()
    )
    DROP = {"script", "style", "head", "nav", "select", "button", "form"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.buffer, self.dropped, self.pre = [], [], 0, 0

    def flush(self):
        text = "".join(self.buffer)
        self.buffer = []
        self.paragraphs.append(text.strip("\n").rstrip() if self.pre else flow(text))

    def handle_starttag(self, tag, attrs):
        if tag in self.DROP:
            self.dropped += 1
        if tag in self.BREAK:
            self.flush()
        if tag == "pre":
            self.pre += 1

    def handle_endtag(self, tag):
        if tag in self.DROP and self.dropped:
            self.dropped -= 1
        if tag in self.BREAK:
            self.flush()
        if tag == "pre" and self.pre:
            self.pre -= 1

    def handle_data(self, data):
        if not self.dropped:
            self.buffer.append(data)


def html(data):
    parser = Text()
    parser.feed(data)
    parser.close()
    parser.flush()
    return parser.paragraphs


def plain(data):
    return [data.strip("\n").replace("\r\n", "\n")]


def tree(root, out, name, pattern, convert):
    """Every file under root whose name matches, gzip undone, in a folder of its own."""
    found = 0
    for folder, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(folder, file)
            if not re.search(pattern, file) or os.path.islink(path):
                continue
            data = open(path, "rb").read()
            if data[:2] == b"\x1f\x8b":
                data = gzip.decompress(data)
            relative = re.sub(r"(\.(gz|html|txt|pod|rst))+$", "", os.path.relpath(path, root))
            write(out, f"{name}/{relative}.txt", convert(data.decode("utf-8", "replace")))
            found += 1
    if found == 0:
        fail(f"{root}: no documents found")


def dictionary(path, out):
    """One file for every two first letters; an entry starts at the left margin and is a paragraph."""
    source = r"\s*\[(?:1913 Webster|PJC|WordNet 1\.5|Webster 1913 Suppl\.|Century Dict\. 1906)[^\]]*\]"
    text = gzip.open(path, "rt", encoding="utf-8", errors="replace").read()
    files, key = {}, "front"
    for entry in re.split(r"\n(?=\S)", text):
        if re.match(r"[A-Za-z]{2}", entry):
            key = entry[:2].lower()
        lines = [re.sub(source, "", line.rstrip()) for line in entry.split("\n")]
        files.setdefault(key, []).append("\n".join(line for line in lines if line))
    for key, entries in files.items():
        write(out, f"gcide/{key}.txt", entries)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("small", "large"):
        sys.exit(__doc__)
    size, work, out = sys.argv[1:]
    share = os.path.join(work, "root/usr/share")
    bible(os.path.join(work, "engKJV2006eb.imp"), out, "king-james-bible")
    bible(os.path.join(work, "engWEB2015eb.imp"), out, "world-english-bible")
    pride(os.path.join(work, "root/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"), out)
    if size == "large":
        doc = os.path.join(share, "doc")
        tree(f"{doc}/anarchism", out, "anarchist-faq", r"\.html(\.gz)?$", html)
        tree(f"{doc}/postgresql-doc-15", out, "postgresql", r"\.html(\.gz)?$", html)
        tree(f"{doc}/linux-doc-6.1/Documentation", out, "linux", r"\.(rst|txt)(\.gz)?$", plain)
        tree(f"{doc}/python3.11", out, "python", r"\.rst\.txt(\.gz)?$", plain)
        tree(os.path.join(share, "perl"), out, "perl", r"\.pod(\.gz)?$", plain)
        dictionary(os.path.join(share, "dictd/gcide.dict.dz"), out)


main()
