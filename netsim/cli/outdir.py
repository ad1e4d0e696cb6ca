"""Writing the files of --out-dir: all of them or none, each replaced atomically, nothing else touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netsim.errors import LabError, UsageError

Write = Callable[[tuple[str, ...], str], None]
"""(path below the directory, text)."""


@contextmanager
def stage_files(directory: str) -> Iterator[Write]:
    """Collect files beside their destination and move them into place when the block ends without an error.

    Raises:  UsageError when *directory* cannot be written or a subdirectory's name would lead out of it.
    """
    root = Path(directory)
    try:
        made = [parent for parent in (root, *root.parents) if not parent.exists()]
        root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".netsim-", dir=root))
    except (OSError, ValueError) as error:
        raise UsageError(f"--out-dir {directory}: {getattr(error, 'strerror', None) or error}") from error
    try:
        yield lambda path, text: _stage(staging, path, text)
        _publish(staging, root)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for path in made:
            _remove_empty(path)
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _stage(staging: Path, path: tuple[str, ...], text: str) -> None:
    for part in path:
        # Names come from manifests: none may lead out of the directory.
        if part in ("", ".", "..") or "/" in part or not part.isprintable():
            raise UsageError(f"{part!r} cannot be the name of a file or directory")
    target = staging.joinpath(*path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Private keys are for their owner only; for the rest umask decides, as for any file a program makes.
        mode = 0o600 if target.suffix == ".key" else 0o666
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise LabError(f"cannot write {path[-1]}: {error.strerror}") from error


def _publish(staging: Path, root: Path) -> None:
    try:
        for source in sorted(path for path in staging.rglob("*") if path.is_file()):
            target = root / source.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    except OSError as error:
        raise UsageError(f"--out-dir: {error.filename2 or error.filename}: {error.strerror}") from error


def _remove_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return
