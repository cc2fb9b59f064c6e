"""`watchbell schema` is right in the eyes of a validator that is not ours.

The validator is Python's `jsonschema`. Its namesake in Rust would switch on features of crates that the program has too
(`serde_json/float_roundtrip`), so that the tests of the program would test another one.
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

import yaml
from jsonschema import Draft202012Validator

from simulator import PROGRAM, ROOT

# Most settings there are, with a value of each kind; the program accepts it too.
WIDE = """
data_dir = "data"
min_free = "1 MB"
max_concurrency = 16
max_in_flight = 268435456
log_schema.tenant_key = "customer"
metrics.listen = "127.0.0.1:0"

[proxy]
https = "http://user:password@proxy.example:3128"
no_proxy = ["internal.example", "10.0.0.0/8"]
loopback = false

[secret.own]
type = "env"

[secret.program]
type = "exec"
command = ["true"]
environment.HOME = "/"
timeout = 2.5

[sources.contoso]
type = "defender"
region = "gcc-high"
tenant_id = "contoso.onmicrosoft.com"
client_id = "66666666-7777-8888-9999-000000000000"
client_secret = "SECRET[own.TOKEN]"
scrape_interval_secs = 300
overlap_secs = 0
rescan = { every = "PT6H", back = "2d" }
since = "2026-03-01"
limit = 1000
machine_groups = ["a", "b"]
egress.nat64_prefixes = ["2001:db8:64::/96"]
proxy.enabled = false
limits.max_response_bytes = "16MiB"
limits.max_cpu_secs = 0.5
timeouts.total_secs = 60

[transforms.urgent]
type = "jq"
inputs = ["contoso"]
filter = 'select(.Severity == "High")'
limits.max_memory_bytes = "128MiB"

[sinks.console]
type = "console"
inputs = ["urgent"]
encoding = { codec = "csv", csv = { fields = ["AlertTime"], delimiter = ";" } }

[sinks.file]
type = "file"
inputs = ["urgent", "contoso"]
path = "alerts/{{ tenant }}.ndjson"
mode = "0600"
follow_symlinks = true
rotate = { max_size = "100 MiB", every = "P1D", keep = 3 }
buffer.max_size = "10 MB"

[sinks.http]
type = "http"
inputs = ["contoso"]
uri = "https://siem.example/ingest"
method = "put"
framing.method = "json_array"
compression = "zstd"
auth = { strategy = "basic", user = "me", password = "SECRET[own.TOKEN]" }
batch = { max_events = 10, max_bytes = "1MB", timeout_secs = 0.5 }
request = { headers = { X-Tenant = "contoso" }, idempotency_header = "Idempotency-Key", timeout_secs = 10 }
healthcheck = { enabled = false, uri = "https://siem.example/health" }
egress.allow_addresses = ["10.0.0.0/8", "192.0.2.7"]
"""

# A variable may stand for each kind of value.
VARIABLES = """
data_dir = "${DATA}"
max_concurrency = "${NUMBER}"
proxy.enabled = "${FALSE}"

[sources.contoso]
type = "defender"
region = "${REGION}"
tenant_id = "${TENANT}"
client_id = "${CLIENT}"
client_secret = "${TOKEN}"
limit = "${NUMBER}"
machine_groups = "${LIST}"
limits.max_response_bytes = "${NUMBER}"
timeouts.total_secs = "${NUMBER}"

[sinks.file]
type = "file"
inputs = ["contoso"]
path = "alerts.ndjson"
mode = "${MODE}"
follow_symlinks = "${FALSE}"
rotate.keep = "${NUMBER}"
"""

# In YAML a key may have nothing behind it.
NOTHING = """
data_dir: data
min_free: 1 MB
proxy:
  enabled: false
transforms:
sources:
  contoso:
    type: defender
    region: eu
    tenant_id: contoso.onmicrosoft.com
    client_id: 66666666-7777-8888-9999-000000000000
    client_secret: secret
    since:
    limits:
sinks:
  out:
    type: console
    inputs: [contoso]
    encoding:
      codec:
"""

ENVIRONMENT = {
    "CLIENT": "66666666-7777-8888-9999-000000000000",
    "DATA": "data",
    "FALSE": "false",
    "LIST": "a;b",
    "MODE": "0600",
    "NUMBER": "64",
    "REGION": "eu",
    "TENANT": "contoso.onmicrosoft.com",
    "TOKEN": "secret",
}

# What is wrong: where, what stands there in WIDE's place (REMOVED: nothing), and which rule of the schema says so.
REMOVED = object()
MISTAKES = [
    ("dta_dir", "data", "additionalProperties"),
    ("min_free", "1 TB", "pattern"),
    ("max_concurrency", "sixteen", "pattern"),
    ("max_concurrency", 0, "minimum"),
    ("max_concurrency", 5000, "maximum"),
    ("log_schema.tenant_kye", "customer", "additionalProperties"),
    ("metrics.listen", REMOVED, "required"),
    ("metrics.listen", 9598, "type"),
    ("proxy.no_proxy", "internal.example", "pattern"),
    ("secret.own.type", "vault", "const"),
    ("secret.program.command", REMOVED, "required"),
    ("secret.program.path", "file", "additionalProperties"),
    ("sources.contoso.tenant", "contoso.com", "additionalProperties"),
    ("sources.contoso.type", REMOVED, "required"),
    ("sources.contoso.type", "defnder", "const"),
    ("sources.contoso.region", "mars", "const"),
    ("sources.contoso.tenant_id", "common", "pattern"),
    ("sources.contoso.client_id", "contoso.com", "pattern"),
    ("sources.contoso.scrape_interval_secs", "300", "pattern"),
    ("sources.contoso.scrape_interval_secs", 86401, "maximum"),
    ("sources.contoso.machine_groups", {"a": 1}, "type"),
    ("sources.contoso.rescan.back", REMOVED, "required"),
    ("sources.contoso.limits.max_memory", 1, "additionalProperties"),
    ("sources.contoso.timeouts.total_secs", 0, "exclusiveMinimum"),
    ("sources.contoso.egress.nat64_prefixes", ["localhost"], "pattern"),
    ("sources.con toso", {}, "pattern"),
    ("sources.contoso", [], "type"),
    ("transforms.urgent.inputs", REMOVED, "required"),
    ("transforms.urgent.inputs", [], "minItems"),
    ("transforms.urgent.filter", 1, "type"),
    ("transforms.urgent.limits.max_connections", 1, "additionalProperties"),
    ("sinks.console.path", "alerts.ndjson", "additionalProperties"),
    ("sinks.console.type", "consol", "const"),
    ("sinks.console.encoding.codec", "xml", "pattern"),
    ("sinks.console.encoding.csv.delimiter", ";;", "pattern"),
    ("sinks.file.type", REMOVED, "required"),
    ("sinks.file.path", REMOVED, "required"),
    ("sinks.file.mode", "0999", "pattern"),
    ("sinks.file.mode", 640, "type"),
    ("sinks.file.follow_symlinks", "yes", "pattern"),
    ("sinks.file.rotate.max_sise", 1, "additionalProperties"),
    ("sinks.file.rotate.keep", -1, "minimum"),
    ("sinks.http.uri", "siem.example", "pattern"),
    ("sinks.http.compression", "brotli", "const"),
    ("sinks.http.framing.method", "lines", "const"),
    ("sinks.http.auth.strategy", REMOVED, "required"),
    ("sinks.http.batch.max_events", 0, "minimum"),
    ("sinks.http.request.headers", {"a b": "c"}, "additionalProperties"),
    ("sinks.http.urll", "https://siem.example", "additionalProperties"),
]


class Loader(yaml.SafeLoader):
    """YAML as the program reads it: a date is text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(language, text):
    if language == "toml":
        return tomllib.loads(text)
    return yaml.load(text, Loader) if language == "yaml" else json.loads(text)


def blocks(page):
    """The code of a page, with its language: blocks, and files that a shell's lines write."""
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        yield language, text
        yield from re.findall(r"^cat > [\w-]+\.(toml|yaml|json) <<'END'\n(.*?)^END$", text, re.DOTALL | re.MULTILINE)


def documented(sections):
    """Every configuration of the documentation, and every part of one that has whole sections."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
    for page in pages:
        for language, text in blocks(page.read_text()):
            if language not in ("toml", "yaml", "json"):
                continue
            configuration = parse(language, text)
            if not configuration or not set(configuration) <= sections:
                continue
            # Vector's configurations have the same sections.
            types = [source.get("type") for source in configuration.get("sources", {}).values()]
            if "exec" not in types and "file" not in types:
                yield str(page.relative_to(ROOT)), configuration


def changed(configuration, path, value):
    """A copy with one setting changed."""
    whole = copy.deepcopy(configuration)
    *folders, last = path.split(".")
    table = whole
    for key in folders:
        table = table.setdefault(key, {})
    if value is REMOVED:
        del table[last]
    else:
        table[last] = value
    return whole


def broken(errors):
    """The rules that were broken and where, those of the alternatives too."""
    for error in errors:
        yield error.validator, ".".join(map(str, error.absolute_path))
        yield from broken(error.context)


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        printed = subprocess.run([PROGRAM, "schema"], capture_output=True, check=True)
        assert printed.stderr == b"", printed.stderr
        cls.schema = json.loads(printed.stdout)
        cls.validator = Draft202012Validator(cls.schema)

    def assert_valid(self, configuration, place):
        errors = [f"{place}: {error.json_path}: {error.message}" for error in self.validator.iter_errors(configuration)]
        self.assertEqual(errors, [])

    def assert_loads(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_text(text)
            environment = {"PATH": os.environ["PATH"], "HOME": folder, **ENVIRONMENT}
            ran = subprocess.run([PROGRAM, "validate", "-c", path], capture_output=True, env=environment)
        self.assertEqual(ran.returncode, 0, ran.stderr.decode())

    def test_it_is_a_schema(self):
        Draft202012Validator.check_schema(self.schema)

    def test_the_configurations_of_the_documentation_are_valid(self):
        seen = whole = 0
        for place, configuration in documented(set(self.schema["properties"])):
            self.assert_valid(configuration, place)
            seen += 1
            whole += "sources" in configuration and "sinks" in configuration
        self.assertGreaterEqual(whole, 5)
        self.assertGreaterEqual(seen, 11)

    def test_what_the_program_accepts_is_valid(self):
        for name, text in (("wide.toml", WIDE), ("variables.toml", VARIABLES), ("nothing.yaml", NOTHING)):
            with self.subTest(name):
                self.assert_valid(parse(name.rpartition(".")[2], text), name)
                self.assert_loads(name, text)

    def test_a_configuration_with_one_mistake_is_not(self):
        configuration = parse("toml", WIDE)
        for path, value, rule in MISTAKES:
            with self.subTest(path, value=value):
                errors = list(broken(self.validator.iter_errors(changed(configuration, path, value))))
                # A key that is missing, or one too many, is a mistake of its table.
                places = (path, path.rpartition(".")[0])
                found = [one for one, place in errors if place in places or place.startswith(f"{path}.")]
                self.assertIn(rule, found, errors)

    def test_examples_are_valid(self):
        def walk(schema, path):
            if isinstance(schema, dict):
                for example in schema.get("examples", []):
                    with self.subTest(path):
                        Draft202012Validator(schema).validate(example)
                for key, value in schema.items():
                    walk(value, f"{path}.{key}")
            elif isinstance(schema, list):
                for index, value in enumerate(schema):
                    walk(value, f"{path}[{index}]")

        walk(self.schema, "$")


if __name__ == "__main__":
    unittest.main()
