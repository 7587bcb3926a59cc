"""The texts of the page on deployment, run as they stand: two servers behind nginx, and the unit of systemd."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tidegate as tg
from serving import bits, serving

NAME = "text-classifier"
TOKEN = "a-token-for-two-servers"
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def block(begin: str) -> str:
    """Find the text of the page that begins so."""
    parts = PAGE.read_text().split("```")[1::2]
    return next(part.removeprefix("text\n") for part in parts if part.startswith(f"text\n{begin}"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1."""
    cert, key = folder / "models.pem", folder / "models.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", "-x509", *kind, *extra], check=True, capture_output=True)
    return cert, key


@contextmanager
def behind_nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """Run nginx with the text of the page, where only places are others: ports, and files of the certificate."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed: nothing runs behind it. On Debian: apt install nginx")
    cert, key = certificate(folder)
    port, text = free_port(), block("upstream")
    for old, new in (("8420", ports[0]), ("8430", ports[1]), ("listen 443", f"listen 127.0.0.1:{port}")):
        assert str(old) in text
        text = text.replace(str(old), str(new))
    text = text.replace("/etc/ssl/models.pem", str(cert)).replace("/etc/ssl/models.key", str(key))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    whole = f"pid {folder}/pid;\ndaemon off;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    (folder / "nginx.conf").write_text(whole)
    command = [nginx, "-e", str(folder / "log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_a_stream_goes_on_through_nginx_when_a_server_ends(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    ports, draw = [free_port(), free_port()], random.Random(0)
    live, words = tg.load(models[NAME]).stream(lookahead=1), [draw.choice(["wave", "oak", "tide"]) for _ in range(120)]
    wanted = [bits(live.step(word)) for word in words]
    options: dict[str, Any] = {"token_file": tmp_path / "tokens"}
    with behind_nginx(tmp_path, ports) as url, serving({NAME: models[NAME]}, port=ports[1], **options) as second:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "models.pem"))
        with tg.Client(url, token=TOKEN) as client:
            with serving({NAME: models[NAME]}, port=ports[0], **options) as first:
                shares = [client.predict_proba(words[:3]) for _ in range(20)]
                stream = client.stream(lookahead=1)
                other = client.stream(lookahead=1)  # at least one of the two is held by the server that ends
                found = [bits(each) for each in stream.push(words[:40])]
                beside = [bits(each) for each in other.push(words[:40])]
                assert first.batcher.seen.jobs > 0
                assert second.batcher.seen.jobs > 0
            shares += [client.predict_proba(words[:3]) for _ in range(20)]
            found += [bits(each) for each in stream.push(words[40:])]
            beside += [bits(each) for each in other.push(words[40:])]
            assert stream.reconnects + other.reconnects >= 1
            stream.close()
            other.close()
    assert found == beside == wanted
    alone = bits(tg.load(models[NAME]).predict_proba(words[:3]))
    assert [bits(each) for each in shares] == [alone] * 40


def test_the_unit_of_systemd_is_sound(tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("systemd is not installed: its unit is not checked")
    command = Path(sys.executable).parent / "tidegate"
    text = block("[Unit]")
    assert "/opt/tidegate/bin/tidegate" in text
    unit = tmp_path / "tidegate.service"
    unit.write_text(text.replace("/opt/tidegate/bin/tidegate", str(command)))
    checked = subprocess.run(
        [systemd, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stderr
    assert "tidegate.service" not in checked.stderr
