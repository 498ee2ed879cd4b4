"""An RTSP server (GStreamer's) that plays a recording over and over, for tests.

Run by Debian's own Python, which has `gi`: needs gir1.2-gst-rtsp-server-1.0,
python3-gi, gstreamer1.0-plugins-{base,good,bad} and gstreamer1.0-libav.

    /usr/bin/python3 tests/support/rtsp_server.py --stream /uz=speech.ogg:opus \
        --stream /cam=speech.ogg:aac+h264 --stream /mute=-:h264 --user admin:secret

A stream is MOUNT=FILE:CODECS; CODECS is one of aac, opus, mulaw, alaw, pcm, with or
without +h264, or h264 alone. Prints `ready PORT` once it listens. Ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions come first

CODECS = {
    "aac": "avenc_aac bitrate=64000 ! aacparse ! rtpmp4gpay name=pay{n} pt=96",
    "opus": "opusenc ! rtpopuspay name=pay{n} pt=96",
    "mulaw": "mulawenc ! rtppcmupay name=pay{n} pt=0",
    "alaw": "alawenc ! rtppcmapay name=pay{n} pt=8",
    "pcm": "rtpL16pay name=pay{n} pt=97",
}
RATES = {"mulaw": 8000, "alaw": 8000, "pcm": 44100, "aac": 44100, "opus": 48000}
VIDEO = (
    "videotestsrc is-live=true pattern=black ! video/x-raw,width=160,height=120,framerate=10/1"
    " ! openh264enc gop-size=10 ! rtph264pay name=pay{n} pt=98"
)


def launch_line(codecs: str, channels: int) -> str:
    parts = []
    for codec in codecs.split("+"):
        n = len(parts)
        if codec == "h264":
            parts.append(VIDEO.format(n=n))
            continue
        caps = f"format=S16LE,rate={RATES[codec]},channels={channels},layout=interleaved"
        parts.append(
            "appsrc name=sound is-live=true do-timestamp=true format=time block=false"
            f" caps=audio/x-raw,{caps}"
            " ! queue ! audioconvert ! " + CODECS[codec].format(n=n)
        )
    return "( " + " ".join(parts) + " )"


def decode(path: str, rate: int, channels: int) -> bytes:
    """The whole recording as interleaved 16-bit samples."""
    pipeline = Gst.parse_launch(
        "filesrc name=file ! decodebin ! audioconvert ! audioresample"
        f" ! audio/x-raw,format=S16LE,rate={rate},channels={channels},layout=interleaved"
        " ! appsink name=sink sync=false"
    )
    pipeline.get_by_name("file").set_property("location", path)
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    data = bytearray()
    while True:
        sample = sink.emit("pull-sample")
        if sample is None:
            break
        buffer = sample.get_buffer()
        data += buffer.extract_dup(0, buffer.get_size())
    pipeline.set_state(Gst.State.NULL)
    if not data:
        raise SystemExit(f"{path}: no sound")
    return bytes(data)


class Player:
    """Feeds one client's appsrc with the recording at the clock's pace, in a loop."""

    STEP_MS = 20

    def __init__(self, appsrc: Gst.Element, data: bytes, rate: int, channels: int) -> None:
        self.appsrc = appsrc
        self.data = data
        self.step = rate * self.STEP_MS // 1000 * channels * 2
        self.at = 0
        self.began = GLib.get_monotonic_time()
        self.sent = 0
        GLib.timeout_add(self.STEP_MS, self.push)

    def push(self) -> bool:
        # As much as the clock asks for: a late timer must not slow the sound down.
        due = (GLib.get_monotonic_time() - self.began) // (self.STEP_MS * 1000)
        while self.sent < due:
            piece = self.data[self.at : self.at + self.step]
            self.at += len(piece)
            if self.at >= len(self.data):
                self.at = 0
            if self.appsrc.emit("push-buffer", Gst.Buffer.new_wrapped(piece)) != Gst.FlowReturn.OK:
                return False
            self.sent += 1
        return True


class Factory(GstRtspServer.RTSPMediaFactory):
    def __init__(self, codecs: str, path: str, channels: int) -> None:
        super().__init__()
        self.codecs = codecs
        sound = [codec for codec in codecs.split("+") if codec != "h264"]
        self.channels = channels
        self.rate = RATES[sound[0]] if sound else 0
        self.data = decode(path, self.rate, channels) if sound else b""
        self.set_shared(False)  # each client hears it from the beginning
        self.connect("media-configure", self.configure)

    def do_create_element(self, _url: object) -> Gst.Element:
        return Gst.parse_launch(launch_line(self.codecs, self.channels))

    def configure(self, _factory: object, media: GstRtspServer.RTSPMedia) -> None:
        if not self.data:
            return
        element = media.get_element().get_by_name("sound")
        element._player = None

        def begin(*_: object) -> None:
            if element._player is None:
                element._player = Player(element, self.data, self.rate, self.channels)

        # From the moment the pipeline wants data (DESCRIBE prerolls it).
        element.connect("need-data", begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--stream", action="append", required=True, metavar="MOUNT=FILE:CODECS")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--user", help="NAME:PASSWORD that every stream asks for")
    parser.add_argument("--basic", action="store_true", help="Basic instead of Digest")
    arguments = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(arguments.address)
    server.set_service(str(arguments.port))
    if arguments.user:
        name, _, password = arguments.user.partition(":")
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "listener")
        if arguments.basic:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(name, password, token)
        server.set_auth(auth)
    factories = []
    for stream in arguments.stream:
        mount, _, rest = stream.partition("=")
        path, _, codecs = rest.rpartition(":")
        factory = Factory(codecs, path, arguments.channels)
        if arguments.user:
            permissions = GstRtspServer.RTSPPermissions()
            structure = Gst.Structure.new_from_string(
                "listener, media.factory.access=(boolean)true,"
                " media.factory.construct=(boolean)true"
            )
            permissions.add_role_from_structure(structure)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(mount, factory)
        factories.append(factory)
    if server.attach(None) == 0:
        raise SystemExit(f"port {arguments.port} is taken")
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    sys.stdout.write(f"ready {server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()
    os._exit(0)  # GStreamer's threads may hang in a client that is gone


main()
