"""One request and its reply."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
from yarl import URL

from vlmake.backends.base import Output
from vlmake.endpoints.address import proxy_of, shown
from vlmake.endpoints.faults import EndpointStoppedError, TransientError, fault_of, read_refusal
from vlmake.endpoints.keys import Key
from vlmake.endpoints.reply import read_reply

_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Endpoint:
    """A server and how it may be used.

    ``most`` requests at once, ``attempts`` a request of ``timeout`` seconds each, the second one ``first_wait`` seconds
    after the first, and so on twice as late each time.
    """

    url: str
    key: Key
    most: int
    attempts: int
    timeout: float
    first_wait: float = 0.5
    per_minute: int | None = None

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        return shown(self.url)


def request_arguments(endpoint: Endpoint) -> dict[str, Any]:
    """Return the arguments of every request: its headers, and the environment's proxy with its own password.

    They are none of the session's: aiohttp sends a session's headers to the proxy too, the key among them. The proxy is
    told its password where it reads it: with CONNECT for https, and in the request itself for http. ``trust_env`` would
    do that too, and send the passwords of ~/.netrc along.
    """
    headers = {"Content-Type": "application/json", **endpoint.key.headers()}
    named = proxy_of(endpoint.url)
    if named is None:
        return {"headers": headers}
    proxy = URL(named)
    login = {}
    if proxy.user is not None:
        login = {"Proxy-Authorization": aiohttp.encode_basic_auth(proxy.user, proxy.password or "")}
    if URL(endpoint.url).scheme == "http":
        return {"headers": headers | login, "proxy": proxy.with_user(None)}
    return {"headers": headers, "proxy": proxy.with_user(None), "proxy_headers": login}


def sender(session: aiohttp.ClientSession, endpoint: Endpoint) -> Callable[[bytes], Awaitable[Output]]:
    """Return what sends one body after another to an endpoint, through the proxy that the environment names now."""
    return partial(_exchange, session, endpoint, request_arguments(endpoint))


async def _exchange(
    session: aiohttp.ClientSession, endpoint: Endpoint, arguments: Mapping[str, Any], body: bytes
) -> Output:
    """Send a body and return the answer; raises the exceptions of ``faults``. No text holds the key."""
    try:
        async with session.post(endpoint.url, data=body, allow_redirects=False, **arguments) as response:
            content = await _read(response)
    except aiohttp.ConnectionTimeoutError:
        raise TransientError(f"no connection to {endpoint.shown} in time", reached=False) from None
    except TimeoutError:
        raise TransientError(f"no answer within {endpoint.timeout:g} s") from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        raise EndpointStoppedError(f"{endpoint.shown} is no URL: check `api_base`", whole_account=True) from None
    except (aiohttp.ClientError, OSError) as error:
        said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)  # its text has the query
        text = endpoint.key.hidden_in(" ".join(said.split()))
        reached = not isinstance(error, aiohttp.ClientConnectorError)
        raise TransientError(f"{type(error).__name__}: {text}"[:200], reached=reached) from None
    if response.status == 200:
        return read_reply(content, endpoint.key, endpoint.shown)
    refusal = read_refusal(response.status, content)
    hidden = replace(refusal, text=endpoint.key.hidden_in(refusal.text))
    raise fault_of(hidden, response.headers, endpoint.key.where(), endpoint.shown)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return a reply's body; raises TransientError for one that is larger than any answer."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise TransientError(f"a reply of more than {_MOST_BYTES >> 20} MB")
    return b"".join(parts)
