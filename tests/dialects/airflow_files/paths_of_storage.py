"""What `ObjectStoragePath` does with files of this machine: `python paths_of_storage.py FOLDER` asks the real one."""

import json
import sys


def told(kind, root):
    def shown(found):
        return str(found).replace(root, "ROOT")

    top = kind(f"file://{root}")
    folder = top / "a" / "b"
    folder.mkdir(parents=True, exist_ok=True)
    file, other = folder / "x.txt", folder / "y.txt"
    with file.open("w") as out:
        out.write("hello")
    other.write_text("more")
    file.copy(folder / "z.txt")
    (folder / "z.txt").move(folder / "w.txt")
    other.copy(top / "a")
    found = {
        "texts": [
            shown(each) for each in (file, file.path, file.parent, kind(root), repr(file), top.joinpath("q", "r"))
        ],
        "about": [
            file.protocol,
            kind(root).protocol,
            file.conn_id,
            file.bucket,
            file.namespace,
            file.key == file.path[1:],
        ],
        "names": [file.name, file.stem, file.suffix, str(file.relative_to(folder)), shown(file.with_suffix(".md"))],
        "is": [file.exists(), (folder / "no").exists(), file.is_file(), file.is_dir(), folder.is_dir()],
        "read": [file.read_text(), file.read_bytes().decode(), file.stat().st_size],
        "listed": sorted(map(shown, folder.iterdir())),
        "found": sorted(map(shown, top.glob("**/*.txt"))),
        "all": sorted(map(shown, top.rglob("*"))),
        "same": [file == kind(f"file://{file.path}"), file == other, hash(file) == hash(kind(f"file://{file.path}"))],
        "kinds": [type(each).__name__ for each in (file.parent, next(iter(folder.iterdir())), folder / "v")],
    }
    other.unlink()
    return {**found, "left": sorted(each.name for each in folder.iterdir())}


if __name__ == "__main__":
    from airflow.sdk import ObjectStoragePath

    print("ANSWER" + json.dumps(told(ObjectStoragePath, sys.argv[1])))
