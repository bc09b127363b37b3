#!/usr/bin/env python3
"""Builds the report page into a C source (page.h declares what is in it).

    embed.py OUT.c NAME FRAME.html PANELS.html PAGE.css NOTICES.txt LIBRARY.js SCRIPT.js...

FRAME.html has the marks @title@, @panels@, @policy@, @style@, @library@, @data@, @scripts@ and
@notices@; PANELS.html is the title in its first line, and what stands in main. The page's own
scripts become one, in one scope. The content policy lets the browser run these very scripts,
known by their hashes, and load nothing: a script that came in with the data would not run.
"""
import base64
import hashlib
import html
import os
import sys


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def own_script(paths):
    parts = ['"use strict";\n(() => {\n']
    for path in paths:
        parts.append("// " + os.path.basename(path) + "\n" + read(path))
    return "".join(parts) + "})();\n"


def policy(scripts, style):
    def hashed(text):
        digest = hashlib.sha256(text.encode()).digest()
        return "'sha256-" + base64.b64encode(digest).decode() + "'"

    return "; ".join(["default-src 'none'", "script-src " + " ".join(map(hashed, scripts)),
                      "style-src " + hashed(style), "base-uri 'none'", "form-action 'none'"])


def array(name, data):
    rows = [",".join(map(str, data[i:i + 32])) for i in range(0, len(data), 32)]
    return "static const unsigned char %s[] = {\n%s};\n" % (name, ",\n".join(rows))


def main():
    out, name, frame, panels, css, notices, library, *scripts = sys.argv[1:]
    title, body = read(panels).split("\n", 1)
    # What stands between two tags is hashed to the byte.
    style, library, script = "\n" + read(css), "\n" + read(library) + "\n", "\n" + own_script(scripts)
    for text, end in ((style, "</style"), (library, "</script"), (script, "</script"),
                      (library, "<!--"), (script, "<!--")):
        if end in text.lower():
            sys.exit("embed.py: %s in what is embedded would end it early" % end)
    text = read(frame)
    for mark, content in (("@title@", title), ("@panels@", body.rstrip()),
                          ("@policy@", policy([library, script], style)), ("@style@", style),
                          ("@library@", library), ("@scripts@", script),
                          ("@notices@", html.escape(read(notices)))):
        if text.count(mark) != 1:
            sys.exit("embed.py: %s stands %d times in %s" % (mark, text.count(mark), frame))
        text = text.replace(mark, content)
    before, after = text.split("@data@")
    with open(out, "w", encoding="ascii") as f:
        f.write("/* Written by embed.py. */\n#include \"report/page.h\"\n\n")
        f.write(array("before", before.encode()))
        f.write(array("after", after.encode()))
        f.write("const sr_page sr_page_%s = {before, sizeof before, after, sizeof after};\n" % name)


if __name__ == "__main__":
    main()
