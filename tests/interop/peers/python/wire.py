"""Writes and reads messages as a Python peer does."""

import math
import time
import uuid

import msgpack

APP = "comlink_ipc_v3"
TEXT_MAX = 10 * 1024 * 1024
ITEMS_MAX = 100_000


def sanitize(value):
    """What Python makes of a field: lists and dicts are walked, tuples are not."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return max(-(2**63), min(2**63 - 1, value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [sanitize(item) for item in value]
    if isinstance(value, dict):
        return {str(key): sanitize(item) for key, item in value.items()}
    return value


def message(kind, identifier=None, **fields):
    """A message with the core fields. Metadata goes with all but output."""
    result = {
        "app": APP,
        "id": identifier or str(uuid.uuid4()),
        "type": kind,
        "timestamp": time.time(),
        "metadata": fields.pop("metadata", {}),
    }
    result.update(fields)
    return result


def pack(fields):
    """Top-level nils are left out; what msgpack cannot hold raises."""
    kept = {key: sanitize(value) for key, value in fields.items() if value is not None}
    return msgpack.packb(kept, use_bin_type=True)


def unpack(payload):
    """A message with defaults for what is missing. Raises for what Python refuses."""
    fields = msgpack.unpackb(
        payload,
        raw=False,
        strict_map_key=True,
        max_str_len=TEXT_MAX,
        max_bin_len=TEXT_MAX,
        max_array_len=ITEMS_MAX,
        max_map_len=ITEMS_MAX,
    )
    if not isinstance(fields, dict):
        raise ValueError(f"Expected dict from msgpack, got {type(fields)}")
    fields.setdefault("app", APP)
    fields.setdefault("id", str(uuid.uuid4()))
    fields.setdefault("timestamp", time.time())
    return fields
