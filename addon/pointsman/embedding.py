"""Text → vector, with one text function for training and serving.

`routing_text` decides which words are looked at: the user's own, newest last, as
many of the newest as fit. `Embedder` turns them into a unit vector with a small
ONNX sentence encoder. Both are synchronous; callers run `embed` in a thread.

Two settings of the tokenizer matter. The file ships with padding and with a
truncation to 128 tokens that keeps the head: here padding is off and the tail
is kept, since what the user asked last stands at the end. And one text goes in
per call: the INT8 graph quantises activations per batch, so that a text's
vector would otherwise depend on its neighbours.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

EMBEDDER_ID = "all-MiniLM-L6-v2-int8"
EMBED_DIM = 384
MAX_TOKENS = 256
MAX_CHARS = 2_000  # before tokenising: 390,000 characters would cost 268 ms for 256 tokens that count

# What Claude Code puts into user text on its own account: not the user's words.
_FOREIGN_BLOCKS = (
    "<system-reminder>",
    "<command-name>",
    "<command-message>",
    "<command-args>",
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<local-command-caveat>",
)
_REMINDER, _REMINDER_END = "<system-reminder>", "</system-reminder>"

_MEND = "Copy bundles/embedder from the release, or reinstall the package."

Vector = npt.NDArray[np.float32]  # [EMBED_DIM], L2-normalised


def routing_text(user_texts: Sequence[str], limit: int = MAX_CHARS) -> str:
    """The words a routing decision is made on: newest last, at most `limit` characters of the end.

    `user_texts` are the text blocks of the user role, oldest first. Blocks and inline sections
    that a client inserted are left out. Lone surrogates become U+FFFD. "" if the user said nothing.
    """
    parts: list[str] = []
    room = limit
    for text in reversed(user_texts):
        own = _own_words(text)
        if not own:
            continue
        parts.append(own[-room:])
        room -= len(own) + 1
        if room <= 0:
            break
    return _without_surrogates("\n".join(reversed(parts))).strip()


def _own_words(text: str) -> str:
    if text.lstrip().startswith(_FOREIGN_BLOCKS):
        return ""
    return _without_reminders(text).strip()


def _without_reminders(text: str) -> str:
    """Closed inline sections go, an opening without an end stays: someone may be writing about it."""
    kept: list[str] = []
    at = 0
    while (start := text.find(_REMINDER, at)) >= 0:
        end = text.find(_REMINDER_END, start)
        if end < 0:
            break
        kept.append(text[at:start])
        at = end + len(_REMINDER_END)
    kept.append(text[at:])
    return "".join(kept)


def _without_surrogates(text: str) -> str:
    """Halves that belong together are joined, lone ones replaced: the tokenizer takes valid Unicode only."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Embedder:
    """A sentence encoder on disk: `tokenizer.json` and `model.onnx` in one directory.

    Thread-safe. One intra-op thread by default: the proxy's event loop needs the other core more
    than a text of 128 tokens needs the 1–2 ms it would gain. The last `cache_size` vectors are kept
    by a hash of their text, so that retries and tool loops of one turn embed once.
    Raises FileNotFoundError or ValueError, with what to do, if a file is missing or damaged; ValueError if
    the model is another kind.
    """

    id = EMBEDDER_ID
    dim = EMBED_DIM

    def __init__(self, directory: Path, *, threads: int = 1, cache_size: int = 1_024) -> None:
        # From 1.29 on onnxruntime reports each session to Microsoft, with an id of the machine from ~/.cache.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime
        from tokenizers import Tokenizer

        model, tokenizer = _file(directory, "model.onnx"), _file(directory, "tokenizer.json")
        with _damaged(tokenizer):
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS, direction="left")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with _damaged(model):
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        self._check_model(model)
        self._cache: LRUCache[bytes, Vector] = LRUCache(maxsize=cache_size)
        self._lock = threading.Lock()

    def known(self, text: str) -> Vector | None:
        """The vector of `text` if it is remembered: microseconds, so that no thread is needed."""
        with self._lock:
            return self._cache.get(_key(_clip(text)))

    def embed(self, text: str) -> Vector:
        """The unit vector of `text`, read-only. Milliseconds of work; at most the last 256 tokens count."""
        known = self.known(text)
        if known is not None:
            return known
        clipped = _clip(text)
        vector = self._run(clipped)
        with self._lock:
            self._cache[_key(clipped)] = vector
        return vector

    def _run(self, text: str) -> Vector:
        encoded = self._tokenizer.encode(text)
        feeds = {
            "input_ids": np.array([encoded.ids], dtype=np.int64),
            "attention_mask": np.array([encoded.attention_mask], dtype=np.int64),
        }
        (output,) = self._session.run(["embedding"], feeds)
        vector: Vector = np.array(output[0], dtype=np.float32)
        vector.setflags(write=False)
        return vector

    def _check_model(self, path: Path) -> None:
        inputs = {item.name for item in self._session.get_inputs()}
        outputs = {item.name: item.shape for item in self._session.get_outputs()}
        shape = outputs.get("embedding")
        if inputs != {"input_ids", "attention_mask"} or shape is None or shape[-1] != self.dim:
            raise ValueError(
                f"{path} is not {self.id}: it should take input_ids and attention_mask "
                f"and give embedding [n, {self.dim}], not {sorted(inputs)} and {outputs}"
            )


def _clip(text: str) -> str:
    return _without_surrogates(text[-MAX_CHARS:])


def _key(clipped: str) -> bytes:
    return hashlib.sha256(clipped.encode()).digest()


@contextlib.contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Both libraries raise exceptions of their own for a file that they cannot read."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"The encoder is damaged: {path} cannot be loaded ({str(error)[:200]}). {_MEND}"
        ) from error


def _file(directory: Path, name: str) -> Path:
    path = directory / name
    if not path.is_file():
        raise FileNotFoundError(f"The encoder is incomplete: {path} is missing. {_MEND}")
    return path
