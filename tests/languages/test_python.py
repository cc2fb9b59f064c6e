"""The same component from Python: every object as the simulator serves it."""

import datetime
import os
import pathlib
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2] / "examples/python")]

import watchbell
from simulator import COMPONENT, Simulator
from watchbell import Source, WatchbellError

RANGE = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}


class FromPython(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = Source(str(COMPONENT))
        cls.simulator = Simulator("--start", "2026-01-01T00:00:00Z", "--rate", "1").__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.simulator.__exit__()

    def test_every_object_is_as_the_simulator_served_it(self):
        got = self.source.poll(**self.simulator.settings, **RANGE)
        want = self.simulator.detections(
            self.simulator.token(), sinceTimeUtc=RANGE["since"], untilTimeUtc=RANGE["until"]
        )
        self.assertGreater(len(want), 1000)
        self.assertEqual(got, want)

    def test_the_short_way_of_reading_a_result_is_used_and_gives_what_wasmtimes_own_gives(self):
        self.assertTrue(watchbell.READABLE, "requirements.txt pins the release that can be read")
        short = self.source.poll(**self.simulator.settings, **RANGE)
        watchbell.READABLE = False
        self.addCleanup(setattr, watchbell, "READABLE", True)
        self.assertEqual(short, self.source.poll(**self.simulator.settings, **RANGE))

    def test_an_answer_without_detections_is_an_empty_list(self):
        never = {"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}
        self.assertEqual(self.source.poll(**self.simulator.settings, **never), [])

    def test_the_envelope_is_that_of_the_object(self):
        for alert in self.source.poll_alerts(**self.simulator.settings, **RANGE, limit=20):
            self.assertIn(alert.id, alert.json)
            self.assertIn(alert.severity, ("unspecified", "informational", "low", "medium", "high"))
            self.assertIsInstance(getattr(alert, "last-processed-time"), int)

    def test_a_token_serves_a_poll(self):
        token = self.source.authenticate(**self.simulator.settings)
        self.assertEqual(token["expires_in"], 3599)
        endpoint = self.simulator.settings["endpoint"]
        self.assertEqual(len(self.source.poll(endpoint=endpoint, access_token=token["value"], **RANGE, limit=3)), 3)

    def test_an_error_of_the_contract_is_an_exception_with_its_case(self):
        with self.assertRaises(WatchbellError) as wrong:
            self.source.poll(**{**self.simulator.settings, "client_secret": "wrong"})
        self.assertEqual(wrong.exception.case, "unauthorized")
        self.assertEqual(wrong.exception.detail["status"], 401)
        with self.assertRaises(WatchbellError) as wrong:
            self.source.poll(**self.simulator.settings, ago="yesterday")
        self.assertEqual((wrong.exception.case, wrong.exception.detail["field"]), ("invalid-config", "query.ago"))

    def refused(self, kind, *words, **settings):
        """The call raises `kind` before anything is asked, and its message has these words."""
        with self.assertRaises(kind) as wrong:
            self.source.poll(**settings)
        for word in words:
            self.assertIn(word, str(wrong.exception))
        return str(wrong.exception)

    def test_a_setting_that_does_not_exist_is_named_with_the_nearest_that_does(self):
        for unknown, meant in (
            ("machine_group", "machine_groups"),
            ("tenantId", "tenant_id"),
            ("client-secret", "client_secret"),
            ("secret", "client_secret"),
            ("sinse", "since"),
        ):
            given = {**self.simulator.settings, unknown: "x"}
            self.refused(TypeError, f"unknown setting {unknown}; did you mean {meant}?", **given)
        self.refused(TypeError, "unknown setting region; the settings are endpoint, authority", region="eu")
        with self.assertRaisesRegex(TypeError, "did you mean client_id"):
            self.source.authenticate(**self.simulator.settings, clientid="x")

    def test_a_missing_setting_is_named(self):
        self.refused(TypeError, "missing endpoint, tenant_id, client_id, client_secret; set them, or give an access_token")
        self.refused(TypeError, "missing endpoint; set it", access_token="token")
        unset = {**self.simulator.settings, "client_secret": os.environ.get("A_VARIABLE_THAT_NOBODY_SETS")}
        self.refused(TypeError, "missing client_secret; set it", **unset)
        with self.assertRaisesRegex(TypeError, "missing client_secret"):
            self.source.authenticate(**unset)

    def test_a_setting_of_the_wrong_type_is_named_with_the_right_one(self):
        known = {**self.simulator.settings, **RANGE}
        message = "machine_groups must be a list of strings, not a string; write ['UKMachines']"
        self.refused(TypeError, message, **known, machine_groups="UKMachines")
        self.refused(TypeError, "one of its items is int", **known, machine_groups=["UKMachines", 3])
        self.refused(TypeError, "machine_groups must be a list of strings, not dict", **known, machine_groups={"a": 1})
        self.refused(TypeError, "limit must be a whole number, not str", **known, limit="3")
        self.refused(TypeError, "limit must be a whole number, not bool", **known, limit=True)
        self.refused(ValueError, "limit must be from 0 to 4294967295, not -1", **known, limit=-1)
        self.refused(ValueError, "max_bytes must be from 0", **known, max_bytes=2**64)
        self.refused(ValueError, "api must be", **known, api="rest")
        self.refused(TypeError, "options must be a list of (name, value) pairs", **known, options=["name"])
        since = {**known, "since": datetime.datetime(2026, 1, 1)}
        self.refused(TypeError, 'since must be a string, not datetime; write an instant as "2026-', **since)
        secret = {**known, "client_secret": b"hush"}
        self.assertNotIn("hush", self.refused(TypeError, "client_secret must be a string, not bytes", **secret))

    def test_settings_of_the_right_types_reach_the_service(self):
        known = {**self.simulator.settings, **RANGE, "device_created_machine_tags": None}
        token = self.simulator.token()
        want = self.simulator.detections(
            token, sinceTimeUtc=RANGE["since"], untilTimeUtc=RANGE["until"], machinegroups="UKMachines"
        )
        self.assertGreater(len(want), 100)
        for groups in (["UKMachines"], ("UKMachines",), {"UKMachines"}):
            self.assertEqual(self.source.poll(**known, machine_groups=groups), want)


if __name__ == "__main__":
    unittest.main(verbosity=2)
