"""The recognising processes: one parent holds the model, one child per stream decodes.

Run as a script with the path of a Unix socket to listen on, in a folder of its own. It loads
pocketsphinx once, prints `ready`, and forks for each connection. A child starts at once and shares
the model's memory with its parent. Decoding holds Python's global lock for up to 40 ms, which is
why it is done in other processes and not in threads beside an event loop.

It ends, and removes that folder, when its standard input closes, so it never outlives the server
that started it; a child ends with its connection.

On the wire, requests are one byte of kind, four bytes of length (big endian), and the payload:
`S` starts an utterance, `A` is 16-bit mono PCM at 16 kHz, `E` ends the utterance. Each is answered
with one line of JSON: a list of `[word, start_s, end_s, confidence]`, times from the utterance's
start. For `A` that is the best guess so far, for `E` the final words.
"""

import gc
import json
import os
import re
import selectors
import signal
import socket
import struct
import sys
from io import BufferedRWPair
from pathlib import Path

from pocketsphinx import Decoder

SAMPLE_RATE = 16_000
FRAME_S = 0.01  # one of the decoder's frames
#: Connections waiting to be accepted; each takes one fork, some milliseconds.
BACKLOG = 128
HEADER = struct.Struct(">cI")
#: The mean of speech's features that a stream starts from, before it has heard its caller: measured
#: over flite's slt and rms. The library's own start costs a stream's first words 10 % more errors.
SPEECH_MEAN = "49.47,-0.40,10.17,16.11,0.36,-1.23,1.69,-4.64,-4.47,-2.01,4.89,3.46,4.56"
#: `hello(2)` is the second way to pronounce hello; `<sil>` and `[NOISE]` are no words.
PRONUNCIATION = re.compile(r"\(\d+\)$")


def load() -> Decoder:
    """A decoder that has run once, so that what it allocates lazily is shared by the children.

    The flat pass over the lattice is left out: it would only start when the speech has ended, and
    take 0.6 to 0.9 s.
    """
    decoder = Decoder(samprate=SAMPLE_RATE, fwdflat=False, bestpath=True, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(bytes(SAMPLE_RATE), no_search=False, full_utt=False)
    decoder.end_utt()
    decoder.set_cmn(SPEECH_MEAN)
    return decoder


def words(decoder: Decoder) -> list[tuple[str, float, float, float]]:
    # Without a hypothesis there are no segments either: seg() is None.
    return [
        (
            PRONUNCIATION.sub("", segment.word),
            round(segment.start_frame * FRAME_S, 3),
            round((segment.end_frame + 1) * FRAME_S, 3),
            round(min(1.0, max(0.0, segment.prob)), 4),
        )
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<[+"
    ]


def serve(stream: BufferedRWPair, decoder: Decoder) -> None:
    """Answer one connection until it closes."""
    active = False
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        payload = stream.read(length)
        if kind == b"S":
            if active:
                decoder.end_utt()
            decoder.start_utt()
            active = True
            answer = []
        elif kind == b"A":
            decoder.process_raw(payload, no_search=False, full_utt=False)
            answer = words(decoder)
        else:
            if active:
                decoder.end_utt()
            active = False
            answer = words(decoder)
        stream.write(json.dumps(answer).encode() + b"\n")
        stream.flush()


def child(connection: socket.socket, decoder: Decoder) -> None:
    try:
        with connection.makefile("rwb") as stream:
            serve(stream, decoder)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The server closed the stream in mid-utterance.
    finally:
        os._exit(0)


def main(path: str) -> None:
    # Ctrl-C reaches the whole group; the server ends us by closing our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nobody waits for the children: the system is told to forget them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    decoder = load()
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(BACKLOG)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                # A server that was killed can't clear up after itself.
                Path(path).unlink(missing_ok=True)
                Path(path).parent.rmdir()
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                selector.close()
                listener.close()
                sys.stdin.close()
                child(connection, decoder)
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
