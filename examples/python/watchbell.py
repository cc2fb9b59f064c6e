"""Detections out of Microsoft Defender, through Watchbell's component, in Python.

One file over wasmtime (`pip install 'wasmtime==50.*'`): it checks the settings, fills the
defaults of the contract's config, turns an answer into dicts and an error into an
exception. The component reaches the network through wasmtime's own wasi:http; there is no
policy between them, so give it endpoints that you trust.
"""

import gc
import json
import re
from ctypes import pointer, sizeof, string_at
from difflib import get_close_matches
from importlib.metadata import version
from struct import Struct
from threading import Thread
from types import SimpleNamespace

from wasmtime import Config, Engine, Store, WasiConfig, _ffi
from wasmtime._ffi import wasmtime_component_val_t as _Value
from wasmtime._ffi import wasmtime_component_valrecord_entry_t as _Entry
from wasmtime.component import Component, Linker, Variant

SOURCE = "watchbell:detections/source@0.1.0"

# The release of wasmtime whose results `_Detections` can read. With any other the helper
# does the same through wasmtime's own conversion, several times slower.
READABLE = version("wasmtime").startswith("50.")

# A vector in C: size and address. A string is one, a record is one of its members.
VECTOR = Struct("NP")
VECTORS = Struct(f"{_Value.of.offset}x NP {sizeof(_Value) - _Value.of.offset - VECTOR.size}x")

# Texts parsed together: enough to share their keys, few enough to stay in the CPU's cache.
BATCH = 64


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

        Needs `endpoint`, and either `tenant_id`, `client_id` and `client_secret` or an
        `access_token`. `SETTINGS` lists every setting with its type. A setting that is
        None counts as not given. Raises TypeError for a setting that is unknown, missing
        or of the wrong type, ValueError for a number out of range, and WatchbellError for
        everything that the component or the service refuses.
        """
        if READABLE:
            return self._call("poll", settings, _Detections)
        return [json.loads(alert.json) for alert in self.poll_alerts(**settings)]

    def poll_alerts(self, **settings):
        """The contract's alerts: the envelope, and the text that the service sent."""
        return self._call("poll", settings)

    def _call(self, name, settings, result=None):
        config = _config(settings, needs=("endpoint",) if name == "poll" else ())
        store = Store(self._engine)
        store.set_wasi(WasiConfig())
        store.set_wasi_http()
        instance = self._linker.instantiate(store, self._component)
        interface = instance.get_export_index(store, SOURCE)
        index = instance.get_export_index(store, name, interface)
        function = instance.get_func(store, index)
        if result is not None:
            usual = function.type(store)
            wanted = SimpleNamespace(params=usual.params, result=result(usual.result))
            function.type = lambda _: wanted
        answer = function(store, config)
        if isinstance(answer, Variant) and answer.tag in ("ok", "err"):
            case, answer = answer.tag, answer.payload
            if case == "err":
                raise WatchbellError(answer.tag, answer.payload)
        elif isinstance(answer, Variant):
            raise WatchbellError(answer.tag, answer.payload)
        return answer


class _Detections:
    """The result of `poll`, read as dicts: of each alert its text and nothing else.

    wasmtime's own conversion copies all seven members and looks the record's type up
    again for every alert: 1.1 s for 10,000 of them, where this takes 0.03 s.
    """

    def __init__(self, usual):
        self._usual = usual

    def convert_from_c(self, value):
        if not value.of.result.is_ok:
            return self._usual.convert_from_c(value)
        try:
            texts = self._texts(value.of.result.val.contents.of.list)
        finally:
            # Freeing takes wasmtime a while, and Python need not wait for it.
            freeing = Thread(target=_ffi.wasmtime_component_val_delete, args=(pointer(value),))
            freeing.start()
        # Looking for garbage among thousands of new dicts finds none.
        collecting = gc.isenabled()
        gc.disable()
        try:
            detections = []
            for start in range(0, len(texts), BATCH):
                detections += json.loads(b"[%b]" % b",".join(texts[start : start + BATCH]))
        finally:
            if collecting:
                gc.enable()
        freeing.join()
        return detections

    @staticmethod
    def _texts(alerts):
        if not alerts.size:
            return []
        record = alerts.data[0].of.record
        names = [record.data[i].name for i in range(record.size)]
        place = [string_at(name.data, name.size) for name in names].index(b"json")
        text = place * sizeof(_Entry) + _Entry.val.offset + _Value.of.offset
        records = VECTORS.iter_unpack(string_at(alerts.data, alerts.size * sizeof(_Value)))
        texts = (VECTOR.unpack(string_at(data + text, VECTOR.size)) for _, data in records)
        return [string_at(data, size) for size, data in texts]


TEXT, TEXTS, PAIRS = "a string", "a list of strings", "a list of (name, value) pairs of strings"

# Every setting and its type; of a number the largest value.
SETTINGS = {
    "endpoint": TEXT,
    "authority": TEXT,
    "tenant_id": TEXT,
    "client_id": TEXT,
    "client_secret": TEXT,
    "access_token": TEXT,
    "api": TEXT,
    "since": TEXT,
    "until": TEXT,
    "ago": TEXT,
    "limit": 2**32 - 1,
    "machine_groups": TEXTS,
    "device_created_machine_tags": TEXT,
    "cloud_created_machine_tags": TEXT,
    "max_bytes": 2**64 - 1,
    "max_pages": 2**32 - 1,
    "options": PAIRS,
}


def _config(settings, needs):
    """The contract's config; `needs` are the settings that this call cannot do without."""
    given = {name: _checked(name, value) for name, value in settings.items()}
    given = {name: value for name, value in given.items() if value is not None}
    if "access_token" in given:
        credentials = Variant("access-token", given["access_token"])
    else:
        needs = (*needs, "tenant_id", "client_id", "client_secret")
    missing = [name for name in needs if name not in given]
    if missing:
        instead = "" if missing == ["endpoint"] else ", or give an access_token instead of an application's credentials"
        raise TypeError(f"missing {', '.join(missing)}; set {'it' if len(missing) == 1 else 'them'}{instead}")
    if "access_token" not in given:
        tenant, client, secret = (given[name] for name in ("tenant_id", "client_id", "client_secret"))
        credentials = Variant("client-secret", _record(tenant_id=tenant, client_id=client, secret=secret))
    query = _record(
        since=given.get("since"),
        until=given.get("until"),
        ago=given.get("ago"),
        limit=given.get("limit"),
        machine_groups=given.get("machine_groups", []),
        device_created_machine_tags=given.get("device_created_machine_tags"),
        cloud_created_machine_tags=given.get("cloud_created_machine_tags"),
    )
    return _record(
        endpoint=given.get("endpoint", ""),
        authority=given.get("authority", "https://login.microsoftonline.com"),
        api=given.get("api", "siem"),
        query=query,
        limits=_record(max_bytes=given.get("max_bytes", 64 * 1024 * 1024), max_pages=given.get("max_pages", 1000)),
        credentials=credentials,
        options=given.get("options", []),
    )


def _checked(name, value):
    """The value as wasmtime wants it. No message repeats a value that may be a secret."""
    if name not in SETTINGS:
        spelt = re.sub(r"(?<=[a-z])(?=[A-Z])|-", "_", name).lower()
        near = get_close_matches(spelt, SETTINGS, 1) or [known for known in SETTINGS if len(spelt) > 2 and spelt in known]
        remedy = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(SETTINGS)}"
        raise TypeError(f"unknown setting {name}; {remedy}")
    wanted = SETTINGS[name]
    if value is None:
        return None
    if isinstance(wanted, int):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
        if not 0 <= value <= wanted:
            raise ValueError(f"{name} must be from 0 to {wanted}, not {value}")
        return value
    if wanted is TEXT:
        if not isinstance(value, str):
            hint = '; write an instant as "2026-05-01T00:00:00Z"' if name in ("since", "until") else ""
            raise TypeError(f"{name} must be {TEXT}, not {type(value).__name__}{hint}")
        if name == "api" and value not in ("siem", "graph"):
            raise ValueError(f'api must be "siem" or "graph", not {value!r}')
        return value
    if isinstance(value, str) and wanted is TEXTS:
        raise TypeError(f"{name} must be {wanted}, not a string; write [{value!r}]")
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
    for item in value:
        texts = (item,) if wanted is TEXTS else item
        paired = wanted is TEXTS or (isinstance(item, (list, tuple)) and len(item) == 2)
        if not paired or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"{name} must be {wanted}; one of its items is {type(item).__name__}")
    return [tuple(item) if wanted is PAIRS else item for item in value]


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
