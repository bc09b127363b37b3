"""What the scripts that summarise experiments share: raw answers in, Markdown tables out."""
import json
import os


def read(folder, name):
    """The JSON of a file, of every line of a .jsonl file, or None where it is not there."""
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return None
    with open(path) as f:
        return [json.loads(x) for x in f] if name.endswith(".jsonl") else json.load(f)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join("---" for _ in head) + " |")
    for row in rows:
        print("| " + " | ".join(str(x) for x in row) + " |")
    print()
