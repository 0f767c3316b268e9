from __future__ import annotations

import subprocess
import sys


def test_the_package_can_be_imported_without_loading_fairlearn_or_matplotlib():
    probe = (
        "import sys, workbench.fairness; print([name for name in ('fairlearn', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
