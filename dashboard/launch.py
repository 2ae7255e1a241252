"""Starts the dashboard's server in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

APP = Path(__file__).with_name("app.py")


def launch(
    stores: Sequence[Path] = (), *, address: str = "127.0.0.1", port: int | None = None, allow_host: Sequence[str] = ()
) -> None:
    """Serve the dashboard on sweeps' folders, or on folders of sweeps, until it is interrupted.

    Without `stores` it shows the demo's sweep or the bundled example; without `port` it takes the first free port from
    8501. `allow_host` names the hosts that the server is reached under besides addresses and this machine's name. Every
    other setting is in `dashboard/.streamlit/config.toml`: Streamlit reads it from the folder of `app.py` and prefers
    it to the configurations of the working folder and of the user.
    """
    from streamlit.web import cli

    arguments = [word for store in stores for word in ("--store", str(store))]
    arguments += [word for name in allow_host for word in ("--allow-host", name)]
    flags = ["--server.address", address, *([] if port is None else ["--server.port", str(port)])]
    cli.main(["run", str(APP), *flags, "--", *arguments], prog_name="skipscope dashboard")
