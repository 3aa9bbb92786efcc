"""The daemon under a supervisor: readiness, signs of life, sockets that are handed over.

SAEVT_LIBRARY and SAEVT_DAEMON name what was built; the tests use the service by the Python module.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import saevt

CHANNEL = "safChnl=test"
#: A test that hangs ends here; nothing is measured by it.
WATCHDOG = 60


class Supervised(unittest.TestCase):
    def setUp(self) -> None:
        signal.alarm(WATCHDOG)
        self.place = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.place.name, "socket")
        os.environ["SAEVT_SOCKET"] = self.path
        self.arguments = [os.environ["SAEVT_DAEMON"], "--state-dir", self.place.name]
        self.started = []

    def tearDown(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
            process.stderr.close()
        self.place.cleanup()
        signal.alarm(0)

    def start(self, arguments, **named) -> subprocess.Popen:
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, **named)
        self.started.append(process)
        return process

    def notified(self, **more) -> socket.socket:
        """A daemon that tells what it does, and where it tells it."""
        name = os.path.join(self.place.name, "notify")
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        heard.bind(name)
        self.addCleanup(heard.close)
        environment = dict(os.environ, NOTIFY_SOCKET=name, **more)
        self.daemon = self.start(self.arguments + ["--socket", self.path], env=environment)
        return heard

    def handed(self, listener: socket.socket) -> subprocess.Popen:
        """A daemon that is given a socket as systemd gives it."""
        def give() -> None:
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)  # If it was that one already.
            handed = dict(os.environ, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
            os.execve(self.arguments[0], self.arguments, handed)
        return self.start(self.arguments, preexec_fn=give, close_fds=False)

    def listener(self, kind: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(listener.close)
        listener.bind(self.path)
        return listener

    def test_it_tells_that_it_serves_and_that_it_ends(self) -> None:
        heard = self.notified()
        self.assertEqual(heard.recv(100).split(b"\n")[0], b"READY=1")
        saevt.Service(patience=0).close()
        self.daemon.terminate()
        self.assertEqual(heard.recv(100).split(b"\n")[0], b"STOPPING=1")
        self.assertEqual(self.daemon.wait(), 0)

    def test_it_does_not_serve_before_all_is_there_that_was_asked_for(self) -> None:
        config = os.path.join(self.place.name, "saevtd.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write('[metrics]\nlisten = "unix:%s/missing/metrics"\n' % self.place.name)
        self.arguments += ["--config", config]
        heard = self.notified()
        self.assertNotEqual(self.daemon.wait(), 0)
        self.assertIn("metrics", self.daemon.stderr.read())
        heard.setblocking(False)
        self.assertRaises(BlockingIOError, heard.recv, 100)

    def test_it_gives_the_signs_of_life_that_are_asked_for(self) -> None:
        heard = self.notified(WATCHDOG_USEC="20000")
        said = [heard.recv(100).split(b"\n")[0] for _ in range(4)]
        self.assertEqual(said, [b"READY=1"] + 3 * [b"WATCHDOG=1"])
        self.daemon.send_signal(signal.SIGSTOP)
        heard.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                heard.recv(100)

    def test_a_socket_that_is_handed_over_is_served_and_stays(self) -> None:
        listener = self.listener(socket.SOCK_SEQPACKET)
        listener.listen()
        for start in range(2):
            daemon = self.handed(listener)
            with saevt.Service() as service:
                channel = service.open(CHANNEL, publish=True, subscribe=True, create=True)
                channel.subscribe()
                channel.publish(b"handed", retention=saevt.FOREVER)
                events = service.events(timeout=20)
                self.assertEqual([next(events).data for _ in range(start + 1)],
                                 (start + 1) * [b"handed"])
            daemon.terminate()
            self.assertEqual(daemon.wait(), 0)
            self.assertTrue(os.path.exists(self.path))

    def test_a_socket_of_another_kind_is_refused(self) -> None:
        listener = self.listener(socket.SOCK_STREAM)
        listener.listen()
        _, said = self.handed(listener).communicate()
        self.assertIn("SOCK_SEQPACKET", said)

    def test_a_socket_that_does_not_listen_is_refused(self) -> None:
        _, said = self.handed(self.listener(socket.SOCK_SEQPACKET)).communicate()
        self.assertIn("no listening socket", said)

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "no systemd-socket-activate")
    def test_systemd_starts_it_for_the_first_program(self) -> None:
        command = ["systemd-socket-activate", "--seqpacket", f"--listen={self.path}"]
        activator = self.start(command + self.arguments)
        # It says so on standard error when it listens.
        self.assertIn("Listening", activator.stderr.readline())
        with saevt.Service() as service:
            channel = service.open(CHANNEL, publish=True, subscribe=True, create=True)
            channel.subscribe()
            channel.publish(b"activated")
            self.assertEqual(next(service.events(timeout=20)).data, b"activated")
        activator.terminate()
        self.assertEqual(activator.wait(), 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "--verbose"])
