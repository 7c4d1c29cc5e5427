"""Where an OpenAI-compatible server listens: ``api_base`` as its root, or as the full URL of its chat completions."""

import ipaddress
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from vlmake.errors import VlmakeError

OPENAI = "https://api.openai.com/v1"
_CHAT = "/chat/completions"


def chat_url(api_base: str) -> str:
    """Return the URL that chat requests go to.

    A root (``http://host:8000``) gets ``/v1/chat/completions``, a versioned root (``…/v1``, ``…/api/paas/v4``) gets
    ``/chat/completions``, and a full URL stays. A query (Azure's ``?api-version=``) is kept. Raises VlmakeError for
    what is no http(s) URL, or one with a password in it.
    """
    parts = _parts(api_base)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise VlmakeError(f"api_base '{shown(api_base)}' is no URL: write http(s)://host[:port][/v1]")
    if parts.username or parts.password:
        raise VlmakeError(f"api_base '{shown(api_base)}' holds a user name or password: name a variable in `api_key`")
    path = parts.path.rstrip("/")
    if not path.endswith(_CHAT):
        path = (path or "/v1") + _CHAT
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def models_url(api_base: str) -> str:
    """Return the URL at which the server lists its models."""
    parts = urlsplit(chat_url(api_base))
    return urlunsplit((parts.scheme, parts.netloc, parts.path.removesuffix(_CHAT) + "/models", parts.query, ""))


def is_on_this_machine(url: str) -> bool:
    """Tell whether a URL leads to this machine itself, where no proxy can reach it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; none for this machine and what NO_PROXY lists."""
    parts = urlsplit(url)
    if is_on_this_machine(url) or proxy_bypass(parts.hostname or ""):
        return None
    proxy = getproxies().get(parts.scheme)
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def shown(url: str) -> str:
    """Return a URL as it may be printed: without user name, password and query.

    Of what cannot be taken apart nobody knows which part is the password: nothing of it is shown.
    """
    parts = _parts(url)
    if parts is None or (not parts.netloc and "@" in url):
        return "…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL; None where brackets or port are none."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # looked at only when it is asked for
    except ValueError:
        return None
    return parts
