"""Every curl line and the Python example of the API guide, run against a real server."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.service.tiny_server import on_a_port

PROJECT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8000"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (PROJECT / "docs" / page).read_text(encoding="utf-8"), re.S | re.M)


@pytest.fixture(scope="module")
def address(trained_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide") / "shop"
    shutil.copytree(trained_folder, folder)
    with on_a_port(folder) as address:
        yield address


def test_both_guides_show_the_same_lines():
    for language in ("sh", "python"):
        assert blocks("api.md", language) == blocks("api.zh-CN.md", language)


def test_every_curl_line_is_answered(address):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shown = "".join(blocks("api.md", "sh")).replace(ADDRESS, address)
    script = "curl() { command curl -sS --fail-with-body -w '\\n' \"$@\"; }\nset -e\n" + shown

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    answers = [line for line in done.stdout.splitlines() if line]
    assert len(answers) == shown.count("curl ") - 1  # the one whose answer goes into a variable
    assert not [answer for answer in answers if '"refusals":[{' in answer]


def test_the_python_example_runs(address, capsys):
    for block in blocks("api.md", "python"):
        exec(compile(block.replace(ADDRESS, address), "api.md", "exec"), {})

    printed = capsys.readouterr().out
    assert "kettle" in printed
    assert "there is no item 'nothing'" in printed
