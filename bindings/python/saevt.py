"""The AIS Event Service in Python: publish and receive events through libSaEvt.so.

One file, without dependencies: it may be copied beside a script. It uses the C library by ctypes,
so it works with every service that the library finds, and with any other libSaEvt.so.

    import saevt

    with saevt.Service() as service:
        channel = service.open("safChnl=alarms", publish=True, subscribe=True, create=True)
        channel.subscribe([saevt.prefix("disk")])
        channel.publish(b"sda is full", patterns=["disk full"], priority=0, retention=60)
        for event in service.events(timeout=1):
            print(event.id, event.patterns, event.data)

Names, patterns and publishers are bytes; where they are given as str they are encoded as UTF-8.
Times are seconds: float for durations, a float since the epoch for the publish time.

Every function of the service raises `Error`, with the code that the C function returned. What the
codes mean is said in saEvt.h and in the manual page of each function, for example
saEvtChannelOpen(3). A Service and what belongs to it may be used by several threads, but `events`
and `dispatch` by one at a time.
"""

from __future__ import annotations

import collections
import ctypes
import os
import select
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Deque, Dict, Iterator, List, Optional, Sequence, Tuple, Union

__all__ = ["FOREVER", "Channel", "Code", "Error", "Event", "Filter", "Service", "any_pattern",
           "exact", "prefix", "suffix"]

#: Retention time of an event that is kept until it is cleared.
FOREVER = float("inf")

Text = Union[str, bytes]

_TIME_MAX = 0x7FFF_FFFF_FFFF_FFFF
_LOST_ID = 1
_NAME_BYTES_MAX = 256
_SECOND = 1_000_000_000
#: Pause between attempts while the service cannot be reached, in seconds.
_RETRY_PAUSE = 0.01


class Code(IntEnum):
    """What the functions of the service return: `SaAisErrorT` in saAis.h."""

    OK = 1
    LIBRARY = 2
    VERSION = 3
    INIT = 4
    TIMEOUT = 5
    TRY_AGAIN = 6
    INVALID_PARAM = 7
    NO_MEMORY = 8
    BAD_HANDLE = 9
    ACCESS = 11
    NOT_EXIST = 12
    EXIST = 14
    NO_SPACE = 15
    NO_RESOURCES = 18
    BAD_FLAGS = 25
    TOO_BIG = 26
    UNAVAILABLE = 31


class Error(Exception):
    """A function of the service refused: `code` says why, `function` which one.

    `code` is a `Code`, or a plain number if the library returned one that is not listed there.
    """

    def __init__(self, function: str, number: int) -> None:
        self.function = function
        self.code: Union[Code, int] = number
        if number in Code.__members__.values():
            self.code = Code(number)
            number_or_name = f"SA_AIS_ERR_{self.code.name}"
        else:
            number_or_name = f"code {number}"
        super().__init__(f"{function}: {number_or_name}")


# The layouts of saAis.h and saEvt.h.


class _Name(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("value", ctypes.c_uint8 * _NAME_BYTES_MAX)]


class _Version(ctypes.Structure):
    _fields_ = [("release", ctypes.c_uint8), ("major", ctypes.c_uint8), ("minor", ctypes.c_uint8)]


class _Pattern(ctypes.Structure):
    _fields_ = [("allocated", ctypes.c_uint64), ("size", ctypes.c_uint64),
                ("bytes", ctypes.POINTER(ctypes.c_uint8))]


class _PatternArray(ctypes.Structure):
    _fields_ = [("allocated", ctypes.c_uint64), ("number", ctypes.c_uint64),
                ("patterns", ctypes.POINTER(_Pattern))]


class _Filter(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("filter", _Pattern)]


class _FilterArray(ctypes.Structure):
    _fields_ = [("number", ctypes.c_uint64), ("filters", ctypes.POINTER(_Filter))]


_OpenCallback = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int)
_DeliverCallback = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64)


class _Callbacks(ctypes.Structure):
    _fields_ = [("open", _OpenCallback), ("deliver", _DeliverCallback)]


_HANDLE = ctypes.c_uint64
_TIME = ctypes.c_int64
_POINTER = ctypes.POINTER

_FUNCTIONS: Dict[str, List[type]] = {
    "saEvtInitialize": [_POINTER(_HANDLE), _POINTER(_Callbacks), _POINTER(_Version)],
    "saEvtSelectionObjectGet": [_HANDLE, _POINTER(ctypes.c_uint64)],
    "saEvtDispatch": [_HANDLE, ctypes.c_int],
    "saEvtFinalize": [_HANDLE],
    "saEvtChannelOpen": [_HANDLE, _POINTER(_Name), ctypes.c_uint8, _TIME, _POINTER(_HANDLE)],
    "saEvtChannelClose": [_HANDLE],
    "saEvtChannelUnlink": [_HANDLE, _POINTER(_Name)],
    "saEvtEventAllocate": [_HANDLE, _POINTER(_HANDLE)],
    "saEvtEventFree": [_HANDLE],
    "saEvtEventAttributesSet": [_HANDLE, _POINTER(_PatternArray), ctypes.c_uint8, _TIME,
                                _POINTER(_Name)],
    "saEvtEventAttributesGet": [_HANDLE, _POINTER(_PatternArray), _POINTER(ctypes.c_uint8),
                                _POINTER(_TIME), _POINTER(_Name), _POINTER(_TIME),
                                _POINTER(ctypes.c_uint64)],
    "saEvtEventDataGet": [_HANDLE, ctypes.c_void_p, _POINTER(ctypes.c_uint64)],
    "saEvtEventPublish": [_HANDLE, ctypes.c_void_p, ctypes.c_uint64, _POINTER(ctypes.c_uint64)],
    "saEvtEventSubscribe": [_HANDLE, _POINTER(_FilterArray), ctypes.c_uint32],
    "saEvtEventUnsubscribe": [_HANDLE, ctypes.c_uint32],
    "saEvtEventRetentionTimeClear": [_HANDLE, ctypes.c_uint64],
}


_FREE = ctypes.CDLL(None).free
_FREE.argtypes = [ctypes.c_void_p]
_FREE.restype = None


def _load(path: Optional[str]) -> ctypes.CDLL:
    library = ctypes.CDLL(path or os.environ.get("SAEVT_LIBRARY") or "libSaEvt.so.3")
    for name, arguments in _FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = ctypes.c_int
    return library


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _name(text: Text) -> _Name:
    octets = _bytes(text)
    if len(octets) > _NAME_BYTES_MAX:
        raise ValueError(f"a name has at most {_NAME_BYTES_MAX} bytes, this one has {len(octets)}")
    name = _Name(length=len(octets))
    ctypes.memmove(name.value, octets, len(octets))
    return name


def _version(release: str) -> _Version:
    code, _, major = release.partition(".")
    if len(code) != 1 or not code.isascii() or not major.isdigit() or int(major) > 255:
        raise ValueError(f"a release is like B.03, not {release!r}")
    return _Version(ord(code), int(major), 1)


def _pattern(octets: bytes) -> Tuple[_Pattern, object]:
    """A pattern, and what must live as long as it."""
    buffer = (ctypes.c_uint8 * max(len(octets), 1)).from_buffer_copy(octets or b"\0")
    first = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_uint8))
    return _Pattern(len(octets), len(octets), first), buffer


def _nanoseconds(seconds: float) -> int:
    if seconds == FOREVER:
        return _TIME_MAX
    return min(int(seconds * _SECOND), _TIME_MAX)


@dataclass(frozen=True)
class Filter:
    """What one pattern of an event must be like; see `prefix`, `suffix`, `exact`, `any_pattern`."""

    kind: int
    octets: bytes


def prefix(text: Text) -> Filter:
    """The pattern begins with `text`."""
    return Filter(1, _bytes(text))


def suffix(text: Text) -> Filter:
    """The pattern ends with `text`."""
    return Filter(2, _bytes(text))


def exact(text: Text) -> Filter:
    """The pattern is `text`."""
    return Filter(3, _bytes(text))


def any_pattern() -> Filter:
    """Any pattern will do, also one that is not there."""
    return Filter(4, b"")


@dataclass(frozen=True)
class Event:
    """A received event.

    `lost` is true for the event that tells that others were lost; it has no data, and its pattern
    is that of the specification, SA_EVT_LOST_EVENT_PATTERN. `retention` is the retention time as
    the publisher set it, in seconds, `FOREVER` if without end.
    """

    channel: "Channel"
    subscription: int
    id: int
    data: bytes
    patterns: Tuple[bytes, ...]
    priority: int
    retention: float
    publisher: bytes
    published: float
    lost: bool


class Channel:
    """An open channel; made by `Service.open`. Closes with its service, or at the end of `with`."""

    def __init__(self, service: "Service", name: bytes, handle: int) -> None:
        self._service = service
        self._handle = handle
        #: The name it was opened by.
        self.name = name

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel. What was not received yet is dropped. Again: nothing happens."""
        handle, self._handle = self._handle, 0
        if handle:
            self._service._forget(self)
            self._service._try("saEvtChannelClose", handle)

    def subscribe(self, filters: Sequence[Filter] = ()) -> int:
        """Subscribes to events whose patterns match `filters`, the first to the first and so on.

        Without filters, to all. Retained events that match come too. Gives the number of the
        subscription, which `unsubscribe` takes and events carry.
        """
        wanted = list(filters) or [any_pattern()]
        array, kept = (_Filter * len(wanted))(), []
        for place, each in zip(array, wanted):
            place.kind = each.kind
            place.filter, buffer = _pattern(each.octets)
            kept.append(buffer)
        number = self._service._subscription(self)
        try:
            filter_array = _FilterArray(len(wanted), array)
            self._service._try("saEvtEventSubscribe", self._handle, filter_array, number)
        except Error:
            self._service._channels.pop(number, None)
            raise
        del kept
        return number

    def unsubscribe(self, subscription: int) -> None:
        """Ends a subscription. What came by it alone and was not received yet is dropped."""
        self._service._try("saEvtEventUnsubscribe", self._handle, subscription)
        self._service._channels.pop(subscription, None)

    def publish(
        self,
        data: bytes = b"",
        *,
        patterns: Sequence[Text] = (),
        priority: int = 3,
        retention: float = 0,
        publisher: Text = b"",
    ) -> int:
        """Publishes an event and gives its id.

        `priority` is 0 (urgent) to 3. `retention` in seconds: for how long those who subscribe
        later get it too. While the service is away or its memory full, it is tried again for the
        `patience` of the service.
        """
        service, octets = self._service, [_bytes(each) for each in patterns]
        array, kept = (_Pattern * len(octets))(), []
        for index, each in enumerate(octets):
            array[index], buffer = _pattern(each)
            kept.append(buffer)
        event, identifier = _HANDLE(), ctypes.c_uint64()
        service._try("saEvtEventAllocate", self._handle, ctypes.byref(event))
        try:
            service._try("saEvtEventAttributesSet", event,
                         _PatternArray(len(octets), len(octets), array), priority,
                         _nanoseconds(retention), _name(publisher))
            service._try("saEvtEventPublish", event, data, len(data), ctypes.byref(identifier))
        finally:
            service._library.saEvtEventFree(event)
        del kept
        return identifier.value

    def clear(self, event_id: int) -> None:
        """Ends the retention of an event: who subscribes from now on does not get it."""
        self._service._try("saEvtEventRetentionTimeClear", self._handle, event_id)


class Service:
    """A library handle: what this program has of the Event Service.

    `library` is the path of libSaEvt.so; by default SAEVT_LIBRARY in the environment, else what the
    loader finds as libSaEvt.so.3. `patience` is for how many seconds a call is tried again when the
    service answers SA_AIS_ERR_TRY_AGAIN, for example while its daemon starts anew. `release` is
    what the handle asks for, B.01, B.02 or B.03: later ones are stricter, B.02 about the names of
    new channels, B.03 about retention times, and only B.03 tells that a node has left its cluster.
    """

    def __init__(self, library: Optional[str] = None, patience: float = 10.0,
                 release: str = "B.01") -> None:
        self._library = _load(library)
        self._patience = patience
        self._channels: Dict[int, Channel] = {}
        self._open: Dict[int, Channel] = {}
        self._arrived: Deque[Event] = collections.deque()
        self._failed: Optional[BaseException] = None
        self._last_subscription = 0
        self._handle = 0
        # ctypes frees a callback with its object: it must live as long as the handle.
        self._deliver = _DeliverCallback(self._delivered)
        callbacks = _Callbacks(_OpenCallback(), self._deliver)
        handle = _HANDLE()
        self._try("saEvtInitialize", ctypes.byref(handle), callbacks, _version(release))
        self._handle = handle.value

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all channels and ends the handle. Again: nothing happens."""
        handle, self._handle = self._handle, 0
        if handle:
            self._channels.clear()
            self._open.clear()
            self._try("saEvtFinalize", handle)

    def open(
        self,
        name: Text,
        *,
        publish: bool = False,
        subscribe: bool = False,
        create: bool = False,
        timeout: float = 10.0,
    ) -> Channel:
        """Opens a channel, and makes it if `create` is given and no channel has the name.

        From release B.02 on, a name to be made begins with `safChnl=`.
        """
        flags = (1 if publish else 0) | (2 if subscribe else 0) | (4 if create else 0)
        handle, octets = _HANDLE(), _bytes(name)
        self._try("saEvtChannelOpen", self._handle, _name(octets), flags, _nanoseconds(timeout),
                  ctypes.byref(handle))
        channel = Channel(self, octets, handle.value)
        self._open[handle.value] = channel
        return channel

    def unlink(self, name: Text) -> None:
        """Takes the name from a channel: it lives on for those who have it open."""
        self._try("saEvtChannelUnlink", self._handle, _name(name))

    def fileno(self) -> int:
        """The selection object: readable while `dispatch` has something to do."""
        selection = ctypes.c_uint64()
        self._try("saEvtSelectionObjectGet", self._handle, ctypes.byref(selection))
        return int(selection.value)

    def dispatch(self) -> List[Event]:
        """Gives the events that have arrived, in their order; never waits."""
        if not self._arrived:
            self._try("saEvtDispatch", self._handle, 2)
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        events = list(self._arrived)
        self._arrived.clear()
        return events

    def events(self, timeout: Optional[float] = None) -> Iterator[Event]:
        """Gives events as they come; ends when none has come for `timeout` seconds."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        while True:
            deadline = None if timeout is None else time.monotonic() + timeout
            events = self.dispatch()
            while not events:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return
                poll.poll(None if left is None else left * 1000 + 1)
                events = self.dispatch()
            yield from events

    def _try(self, name: str, *arguments: object) -> None:
        """Calls a function of the library, again while it says so."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._check(name, *arguments)
            except Error as error:
                if error.code != Code.TRY_AGAIN or time.monotonic() >= deadline:
                    raise
            time.sleep(_RETRY_PAUSE)

    def _subscription(self, channel: Channel) -> int:
        self._last_subscription += 1
        self._channels[self._last_subscription] = channel
        return self._last_subscription

    def _forget(self, channel: Channel) -> None:
        for number in [number for number, of in self._channels.items() if of is channel]:
            del self._channels[number]
        self._open = {handle: each for handle, each in self._open.items() if each is not channel}

    def _delivered(self, subscription: int, event: int, length: int) -> None:
        try:
            channel = self._channels.get(subscription)
            if channel is not None:
                self._arrived.append(self._read(channel, subscription, event, length))
        except BaseException as error:  # It must not be lost in C: the next `dispatch` raises it.
            self._failed = error
        finally:
            self._library.saEvtEventFree(event)

    def _read(self, channel: Channel, subscription: int, event: int, length: int) -> Event:
        array, publisher = _PatternArray(), _Name()
        priority, identifier = ctypes.c_uint8(), ctypes.c_uint64()
        retention, published = _TIME(), _TIME()
        self._check("saEvtEventAttributesGet", event, array, ctypes.byref(priority),
                    ctypes.byref(retention), publisher, ctypes.byref(published),
                    ctypes.byref(identifier))
        shown = (array.patterns[index] for index in range(array.number))
        patterns = tuple(ctypes.string_at(each.bytes, each.size) for each in shown)
        # As in release B.01, which every library knows: by free(), each and then the array.
        for index in range(array.number):
            _FREE(array.patterns[index].bytes)
        _FREE(array.patterns)
        data, size = ctypes.create_string_buffer(max(length, 1)), ctypes.c_uint64(length)
        if length:
            self._check("saEvtEventDataGet", event, data, ctypes.byref(size))
        kept = FOREVER if retention.value == _TIME_MAX else retention.value / _SECOND
        return Event(
            channel=channel,
            subscription=subscription,
            id=identifier.value,
            data=data.raw[:size.value],
            patterns=patterns,
            priority=priority.value,
            retention=kept,
            publisher=bytes(publisher.value[:publisher.length]),
            published=published.value / _SECOND,
            lost=identifier.value == _LOST_ID,
        )

    def _check(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != Code.OK:
            raise Error(name, code)
