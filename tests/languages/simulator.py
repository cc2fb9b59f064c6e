"""Runs `watchbell simulate` for a test, and asks it the plain way."""

import json
import pathlib
import subprocess
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/watchbell"
COMPONENT = ROOT / "target/components/defender.wasm"


class Simulator:
    """A simulator of its own process; its settings as keyword arguments for Source."""

    def __init__(self, *flags):
        self._process = subprocess.Popen([PROGRAM, "simulate", *flags], stdout=subprocess.PIPE, text=True)
        self.settings = json.loads(self._process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def token(self):
        url = f"{self.settings['authority']}/{self.settings['tenant_id']}/oauth2/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings["client_id"],
            "client_secret": self.settings["client_secret"],
            "resource": "https://graph.windows.net",
        }
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode()) as answer:
            return json.load(answer)["access_token"]

    def detections(self, token, **query):
        url = f"{self.settings['endpoint']}/api/alerts?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
