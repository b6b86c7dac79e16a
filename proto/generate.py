"""Regenerates the stubs of radimpress.v1 beside their .proto files, or elsewhere to compare.

Usage: python proto/generate.py [FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(into: Path) -> None:
    """Runs protoc for messages, services and their type stubs."""
    into.mkdir(parents=True, exist_ok=True)
    files = sorted(str(path.relative_to(HERE)) for path in HERE.glob("radimpress/v1/*.proto"))
    plugins = Path(sys.executable).parent
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={HERE}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--python_out={into}",
            f"--grpc_python_out={into}",
            f"--mypy_out=quiet:{into}",
            f"--mypy_grpc_out=quiet:{into}",
            *files,
        ],
        check=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
