"""nginx and Varnish in front of an application, where they are installed."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers import free_port

from .servers import MEASURED, MissingError, Server, running, wait_for

_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr crit;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=bench:16m inactive=1h use_temp_path=off;
  upstream application {{ server 127.0.0.1:{behind}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
      proxy_cache_valid 200 {lifetime};
      proxy_cache_lock on;
      proxy_cache_use_stale updating error timeout http_500;
      proxy_cache_background_update on;
      add_header X-Cache $upstream_cache_status;
    }}
    location = /runs {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""

_VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{behind}"; }}
sub vcl_recv {{
  if (req.url == "/runs") {{ return (pass); }}
}}
sub vcl_backend_response {{
  if (beresp.status == 200 && !beresp.http.Cache-Control) {{ set beresp.ttl = {lifetime}; }}
}}
sub vcl_deliver {{
  if (obj.hits > 0) {{ set resp.http.X-Cache = "HIT"; }} else {{ set resp.http.X-Cache = "MISS"; }}
}}
"""


def _program(name: str) -> str:
    """Where it is installed.

    Raises:
        MissingError: If it is not.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingError(f"{name} is not installed")
    return found


def version(name: str) -> str:
    """The version of one of both that is installed.

    Raises:
        MissingError: If it is not.
    """
    flag = {"nginx": "-v", "varnishd": "-V"}[name]
    told = subprocess.run([_program(name), flag], capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return found[0] if found else ""


@contextlib.contextmanager
def nginx(behind: Server, lifetime: str = "1h", core: int | None = MEASURED) -> Iterator[Server]:
    """nginx with `proxy_cache` before a server, with one worker on the same core."""
    program, port = _program("nginx"), free_port()
    with tempfile.TemporaryDirectory(prefix="nginx-", ignore_cleanup_errors=True) as folder:
        # Its worker is another user, unless it is told otherwise.
        user = "user root;" if os.geteuid() == 0 else ""
        text = _NGINX.format(
            folder=folder, user=user, behind=behind.port, port=port, lifetime=lifetime
        )
        file = Path(folder, "nginx.conf")
        file.write_text(text)
        command = [program, "-e", "stderr", "-p", folder, "-c", str(file)]
        with running(command, core=core) as process:
            wait_for(port, process)
            yield Server(port, process.pid)


@contextlib.contextmanager
def varnish(behind: Server, lifetime: str = "1h", core: int | None = MEASURED) -> Iterator[Server]:
    """Varnish before a server, in memory, on the same core."""
    program, port = _program("varnishd"), free_port()
    with tempfile.TemporaryDirectory(prefix="varnish-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # its worker may be another user
        file = Path(folder, "bench.vcl")
        file.write_text(_VARNISH.format(behind=behind.port, lifetime=lifetime))
        command = [program, "-F", "-n", str(Path(folder, "state")), "-f", str(file)]
        command += ["-a", f"127.0.0.1:{port}", "-s", "malloc,256m"]
        with running(command, core=core, quiet=True) as process:
            wait_for(port, process)
            yield Server(port, process.pid)
