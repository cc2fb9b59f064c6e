"""What the README shows works: its lines of Python, Node and Rust print what the simulator serves."""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from simulator import COMPONENT, PROGRAM, ROOT, Simulator

README = (ROOT / "README.md").read_text()
LINES = 10


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE).group(1)


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A fixed number, all of them in the last ten minutes while the suite runs.
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
        flags = ("--start", start.isoformat(), "--total", "200", "--late-rate", "0")
        cls.simulator = Simulator(*flags).__enter__()
        cls.served = cls.simulator.detections(cls.simulator.token(), ago="PT10M")
        assert len(cls.served) == 200, len(cls.served)

    @classmethod
    def tearDownClass(cls):
        cls.simulator.__exit__()

    def pointed_at_simulator(self, text, authority):
        """The README's lines with the simulator's settings in place of a real tenant's."""
        settings = self.simulator.settings
        for shown, ours in (
            ('"https://wdatp-alertexporter-eu.windows.com"', f'"{settings["endpoint"]}", {authority}"{settings["authority"]}"'),
            ("11111111-2222-3333-4444-555555555555", settings["client_id"]),
            ("contoso.onmicrosoft.com", settings["tenant_id"]),
            ('"…"', json.dumps(settings["client_secret"])),
            ('"target/components/defender.wasm"', json.dumps(str(COMPONENT))),
        ):
            self.assertEqual(text.count(shown), 1, shown)
            text = text.replace(shown, ours)
        return text

    def output(self, *command, **options):
        done = subprocess.run(command, capture_output=True, timeout=120, **options)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def test_each_language_takes_ten_lines(self):
        for language in ("python", "js", "rust"):
            self.assertLessEqual(len(lines(block(language))), LINES, language)

    def test_the_lines_of_python_print_every_title(self):
        text = self.pointed_at_simulator(block("python"), "authority=")
        env = {**os.environ, "PYTHONPATH": str(ROOT / "examples/python"), "PYTHONIOENCODING": "utf-8"}
        titles = "".join(f"{detection['AlertTitle']}\n" for detection in self.served)
        self.assertEqual(self.output(sys.executable, "-c", text, env=env), titles)

    def test_the_lines_of_node_print_every_title(self):
        text = self.pointed_at_simulator(block("js"), "authority: ")
        titles = "".join(f"{'null' if d['AlertTitle'] is None else d['AlertTitle']}\n" for d in self.served)
        command = ("node", "--input-type=module", "-e", text)
        self.assertEqual(self.output(*command, cwd=ROOT / "examples/node"), titles)

    def test_the_lines_of_rust_are_in_the_example_and_it_prints_every_detection(self):
        source = iter(lines((ROOT / "examples/rust/src/main.rs").read_text()))
        for line in lines(block("rust")):
            self.assertIn(line, source)
        settings = self.simulator.settings
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "watchbell.toml").write_text(
                '[sources.contoso]\ntype = "defender"\negress.allow_addresses = ["127.0.0.0/8"]\n'
                + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
            )
            env = {**os.environ, "XDG_CACHE_HOME": str(ROOT / "target/cache")}
            printed = self.output(ROOT / "target/release/watchbell-example", cwd=folder, env=env)
        self.assertEqual([json.loads(line) for line in printed.splitlines()], self.served)

    def test_the_configuration_is_valid(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "watchbell.toml").write_text(block("toml"))
            env = {**os.environ, "CONTOSO_SECRET": "secret"}
            self.output(PROGRAM, "validate", "-c", "watchbell.toml", cwd=folder, env=env)


if __name__ == "__main__":
    unittest.main(verbosity=2)
