"""What the scripts that summarise experiments share: raw answers in, Markdown tables out, ranks."""
import json
import math
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


def ranks(x):
    """From 1; equal values share their mean rank."""
    return [sum(w < v for w in x) + (sum(w == v for w in x) + 1) / 2 for v in x]


def spearman(a, b):
    """Pearson's coefficient of the ranks; NaN where all are equal."""
    mean = (len(a) + 1) / 2
    a, b = [v - mean for v in ranks(a)], [v - mean for v in ranks(b)]
    size = math.sqrt(sum(v * v for v in a) * sum(v * v for v in b))
    return sum(v * w for v, w in zip(a, b)) / size if size > 0 else math.nan
