"""Which models a server has, for judges that are known by their address alone."""

from collections.abc import Mapping
from typing import Any

import requests

from vlmake.endpoints.address import is_on_this_machine, models_url, shown
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.endpoints.keys import Key

_WAIT_S = 10.0


def first_model(api_base: str, key: Key) -> str:
    """Return the id of the first model that a server lists.

    Raises EndpointStoppedError, without secrets, where it lists none.
    """
    url = models_url(api_base)
    try:
        with requests.Session() as session:
            session.trust_env = not is_on_this_machine(url)
            headers = {name: text.encode() for name, text in key.headers().items()}  # as text it must be Latin-1
            reply = session.get(url, headers=headers, timeout=_WAIT_S, allow_redirects=False)
        content: Any = reply.json() if reply.ok else None
    except requests.RequestException as error:
        raise EndpointStoppedError(
            f"{shown(url)} cannot be reached ({type(error).__name__}): check `api_base`"
        ) from None
    models = content.get("data") if isinstance(content, Mapping) else None
    names = [model.get("id") for model in models if isinstance(model, Mapping)] if isinstance(models, list) else []
    for name in names:
        if isinstance(name, str) and name:
            return name
    raise EndpointStoppedError(
        f"{shown(url)} lists no models (HTTP {reply.status_code}): give `served_model`, and check {key.where()}"
    )
