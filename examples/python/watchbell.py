"""Detections out of Microsoft Defender, through Watchbell's component, in Python.

One file over wasmtime (`pip install wasmtime`): it fills the defaults of the contract's
config, turns an answer into dicts and an error into an exception. The component reaches
the network through wasmtime's own wasi:http; there is no policy between them, so give
it endpoints that you trust.
"""

import json
from types import SimpleNamespace

from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Variant

SOURCE = "watchbell:detections/source@0.1.0"


class WatchbellError(Exception):
    """Why a call gave no result: `case` of the contract's error, and its `detail`."""

    def __init__(self, case, detail):
        self.case = case
        self.detail = _plain(detail)
        super().__init__(f"{case}: {self.detail}")


class Source:
    """A loaded component. Each call runs in a fresh instance."""

    def __init__(self, path):
        self._engine = Engine(Config())
        self._component = Component.from_file(self._engine, path)
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        self._linker.add_wasi_http()

    def authenticate(self, **settings):
        """An access token as a dict. Settings as for `poll`."""
        return _plain(self._call("authenticate", settings))

    def poll(self, **settings):
        """The detections as dicts, in the service's order.

        endpoint, authority, tenant_id, client_id and client_secret; or access_token in
        place of the last three. since, until, ago, limit, machine_groups,
        device_created_machine_tags, cloud_created_machine_tags; max_bytes.
        """
        return [json.loads(alert.json) for alert in self.poll_alerts(**settings)]

    def poll_alerts(self, **settings):
        """The contract's alerts: the envelope, and the text that the service sent."""
        return self._call("poll", settings)

    def _call(self, name, settings):
        store = Store(self._engine)
        store.set_wasi(WasiConfig())
        store.set_wasi_http()
        instance = self._linker.instantiate(store, self._component)
        interface = instance.get_export_index(store, SOURCE)
        index = instance.get_export_index(store, name, interface)
        answer = instance.get_func(store, index)(store, _config(**settings))
        if isinstance(answer, Variant) and answer.tag in ("ok", "err"):
            case, answer = answer.tag, answer.payload
            if case == "err":
                raise WatchbellError(answer.tag, answer.payload)
        elif isinstance(answer, Variant):
            raise WatchbellError(answer.tag, answer.payload)
        return answer


def _config(
    endpoint="",
    authority="https://login.microsoftonline.com",
    tenant_id="",
    client_id="",
    client_secret=None,
    access_token=None,
    api="siem",
    since=None,
    until=None,
    ago=None,
    limit=None,
    machine_groups=(),
    device_created_machine_tags=None,
    cloud_created_machine_tags=None,
    max_bytes=64 * 1024 * 1024,
    max_pages=1000,
    options=(),
):
    if access_token is not None:
        credentials = Variant("access-token", access_token)
    else:
        secret = _record(tenant_id=tenant_id, client_id=client_id, secret=client_secret or "")
        credentials = Variant("client-secret", secret)
    query = _record(
        since=since,
        until=until,
        ago=ago,
        limit=limit,
        machine_groups=list(machine_groups),
        device_created_machine_tags=device_created_machine_tags,
        cloud_created_machine_tags=cloud_created_machine_tags,
    )
    return _record(
        endpoint=endpoint,
        authority=authority,
        api=api,
        query=query,
        limits=_record(max_bytes=max_bytes, max_pages=max_pages),
        credentials=credentials,
        options=list(options),
    )


def _record(**members):
    return SimpleNamespace(**{name.replace("_", "-"): value for name, value in members.items()})


def _plain(value):
    """A record as a dict, with Python's names."""
    if isinstance(value, Variant):
        return {value.tag: _plain(value.payload)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "__dict__"):
        return {name.replace("-", "_"): _plain(item) for name, item in vars(value).items()}
    return value
