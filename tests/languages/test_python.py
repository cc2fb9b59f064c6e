"""The same component from Python: every object as the simulator serves it."""

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
