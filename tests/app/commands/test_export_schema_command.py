import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_printed_schema_is_the_committed_one() -> None:
    command = [sys.executable, "-m", "app.cli", "export-schema"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == (ROOT / "schema.graphql").read_text()
