"""Tests of the Python binding, against the library and daemon of the environment.

SAEVT_LIBRARY and SAEVT_DAEMON name what was built; each test has a daemon of its own.
"""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import saevt

CHANNEL = "safChnl=test"


class WithService(unittest.TestCase):
    """A daemon and a service handle for each test."""

    def setUp(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.socket = os.path.join(self.place.name, "socket")
        os.environ["SAEVT_SOCKET"] = self.socket
        self.start()
        self.service = saevt.Service()

    def start(self) -> None:
        self.daemon = subprocess.Popen(
            [os.environ["SAEVT_DAEMON"], "--socket", self.socket, "--state-dir", self.place.name],
            stderr=subprocess.DEVNULL,
        )

    def tearDown(self) -> None:
        self.service.close()
        self.daemon.terminate()
        self.daemon.wait()
        self.place.cleanup()

    def both(self) -> saevt.Channel:
        return self.service.open(CHANNEL, publish=True, subscribe=True, create=True)

    def next(self) -> saevt.Event:
        return next(self.service.events(timeout=20))

    def refused(self, code: saevt.Code, call, *arguments, **named) -> None:
        with self.assertRaises(saevt.Error) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(code.name, str(caught.exception))


class Events(WithService):
    def test_an_event_arrives_with_all_it_was_given(self) -> None:
        channel = self.both()
        number = channel.subscribe([saevt.prefix("di"), saevt.any_pattern()])
        before = time.time()
        sent = channel.publish(b"a\0b", patterns=["disk", b"\xff"], priority=1, retention=2.5,
                               publisher="monitor")
        event = self.next()
        self.assertEqual((event.id, event.subscription, event.channel), (sent, number, channel))
        self.assertEqual((event.data, event.patterns), (b"a\0b", (b"disk", b"\xff")))
        self.assertEqual((event.priority, event.retention, event.publisher), (1, 2.5, b"monitor"))
        self.assertFalse(event.lost)
        self.assertAlmostEqual(event.published, before, delta=60)

    def test_an_empty_event_arrives(self) -> None:
        channel = self.both()
        channel.subscribe()
        channel.publish()
        event = self.next()
        self.assertEqual((event.data, event.patterns, event.publisher), (b"", (), b""))

    def test_filters_decide(self) -> None:
        channel = self.both()
        channel.subscribe([saevt.exact("a"), saevt.suffix("z")])
        channel.publish(b"no", patterns=["b", "z"])
        channel.publish(b"nor", patterns=["a", "zy"])
        channel.publish(b"yes", patterns=["a", "xyz"])
        self.assertEqual(self.next().data, b"yes")
        self.assertEqual(self.service.dispatch(), [])

    def test_a_retained_event_comes_late_and_not_after_it_is_cleared(self) -> None:
        channel = self.both()
        first = channel.publish(b"one", retention=saevt.FOREVER)
        channel.publish(b"two", retention=saevt.FOREVER)
        channel.clear(first)
        channel.subscribe()
        event = self.next()
        self.assertEqual((event.data, event.retention), (b"two", saevt.FOREVER))
        self.refused(saevt.Code.NOT_EXIST, channel.clear, first)

    def test_unsubscribed_is_not_delivered(self) -> None:
        channel = self.both()
        channel.unsubscribe(channel.subscribe())
        channel.subscribe([saevt.exact("kept")])
        channel.publish(b"dropped")
        channel.publish(b"kept", patterns=["kept"])
        self.assertEqual(self.next().data, b"kept")

    def test_the_selection_object_wakes(self) -> None:
        channel = self.both()
        channel.subscribe()
        self.assertEqual(self.service.dispatch(), [])
        channel.publish(b"wake")
        readable, _, _ = select.select([self.service], [], [], 20)
        self.assertEqual(readable, [self.service])
        self.assertEqual([event.data for event in self.service.dispatch()], [b"wake"])

    def test_events_end_after_their_timeout(self) -> None:
        self.both().subscribe()
        self.assertEqual(list(self.service.events(timeout=0.01)), [])

    def test_a_restart_of_the_daemon_is_told_as_loss_and_outlived(self) -> None:
        channel = self.both()
        channel.subscribe()
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        self.start()
        channel.publish(b"after")
        got = self.service.events(timeout=20)
        lost, after = next(got), next(got)
        self.assertTrue(lost.lost)
        self.assertEqual(lost.patterns, (b"SA_EVT_LOST_EVENT_PATTERN",))
        self.assertEqual((after.lost, after.data), (False, b"after"))


class Refusals(WithService):
    def test_refusals_have_their_codes(self) -> None:
        code, service = saevt.Code, self.service
        self.refused(code.NOT_EXIST, service.open, CHANNEL, subscribe=True)
        self.refused(code.BAD_FLAGS, service.open, CHANNEL)
        self.refused(code.NOT_EXIST, service.unlink, CHANNEL)
        channel = self.both()
        self.refused(code.INVALID_PARAM, channel.publish, priority=4)
        self.refused(code.TOO_BIG, channel.publish, bytes(1 << 20))
        with self.assertRaises(ValueError):
            service.open("x" * 257, publish=True)

    def test_what_is_closed_is_a_bad_handle(self) -> None:
        channel = self.both()
        service = self.service
        service.unlink(CHANNEL)
        channel.close()
        channel.close()
        self.refused(saevt.Code.BAD_HANDLE, channel.publish)
        service.close()
        service.close()
        self.refused(saevt.Code.BAD_HANDLE, service.dispatch)

    def test_later_releases_are_stricter(self) -> None:
        with saevt.Service(release="B.03") as service:
            strict = service.open(CHANNEL, create=True, publish=True)
            self.refused(saevt.Code.TOO_BIG, strict.publish, retention=saevt.FOREVER)
            self.refused(saevt.Code.INVALID_PARAM, service.open, "a", create=True, publish=True)
        self.service.open("a", create=True, publish=True).publish(retention=saevt.FOREVER)
        self.refused(saevt.Code.VERSION, saevt.Service, release="C.01")
        for wrong in ("3", "B.x", "B.256", "BB.3"):
            with self.assertRaises(ValueError):
                saevt.Service(release=wrong)

    def test_patience_ends(self) -> None:
        self.daemon.terminate()
        self.daemon.wait()
        self.refused(saevt.Code.TRY_AGAIN, saevt.Service, patience=0.05)


class Layout(unittest.TestCase):
    def test_codes_and_functions_are_those_of_the_headers(self) -> None:
        include = os.environ["SAEVT_INCLUDE"]
        with open(os.path.join(include, "saAis.h"), encoding="ascii") as header:
            codes = dict(re.findall(r"SA_AIS_(?:ERR_)?(\w+) = (\d+)", header.read()))
        for code in saevt.Code:
            self.assertEqual(int(codes[code.name]), code)
        with open(os.path.join(include, "saEvt.h"), encoding="ascii") as header:
            text = header.read()
        for name, arguments in saevt._FUNCTIONS.items():
            shown = re.search(rf"extern SaAisErrorT {name}\(([^)]*)\)", text)
            self.assertEqual(len(shown.group(1).split(",")), len(arguments), name)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "--verbose"])
