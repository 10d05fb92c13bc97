"""Files of the lab's own /run, for those who cannot reach them through /proc."""
import os


def make_folders(paths):
    for path in paths:
        os.makedirs(path, exist_ok=True)


def write(path, text, mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o666 if mode is None else mode)) as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def read_tree(path):
    """Every file below a folder: its text, by its path from there."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            whole = os.path.join(folder, name)
            found[os.path.relpath(whole, path)] = read(whole)
    return found
