"""What the checks of the clients in Python share. The environment says where: OPENAI_BASE_URL, and by PILOTLIGHT_ what else it needs."""

import os
import sys
import time
from typing import Literal

from pydantic import BaseModel, Field

BASE_URL = os.environ["OPENAI_BASE_URL"]
KEY = os.environ["OPENAI_API_KEY"]
KEYS = {mode: os.environ[f"PILOTLIGHT_{mode.upper()}_KEY"] for mode in ("comment", "chunk")}  # tokens with that keep-alive mode
NARROW_KEY = os.environ["PILOTLIGHT_NARROW_KEY"]  # a token that may use the model never-hot only
HELLO = "Say hello."
SIMULATED = "This is simulated"  # how each answer in words begins


def model(name):
    """One of the models that belong to the client under test, cold before it is first asked."""
    return f"{os.environ['PILOTLIGHT_CLIENT']}/{name}"


class City(BaseModel):
    name: str = Field(min_length=1)
    population: int = Field(ge=0)
    climate: str = Field(pattern="^(mild|harsh)$")


class Town(BaseModel):
    """A City for clients that leave patterns and bounds out of a schema."""

    name: str
    climate: Literal["mild", "harsh"]


class Weather:
    """A tool that remembers what it was called with."""

    def __init__(self):
        self.calls = []

    def report(self, city: str, days: int) -> str:
        """Tell the weather of a city for the next days."""
        assert isinstance(city, str) and city and isinstance(days, int), (city, days)
        self.calls.append((city, days))
        return f"{days} days of rain in {city}"


def expect(kind, call, **fields):
    """The error that a call ends with, which has to be of a kind and to have some fields."""
    try:
        call()
    except kind as e:
        for name, want in fields.items():
            assert getattr(e, name) == want, f"{name} of {e!r}: got {getattr(e, name)!r}, want {want!r}"
        return e
    except Exception as e:
        raise AssertionError(f"got {e!r}, want {kind.__name__}") from e
    raise AssertionError(f"no {kind.__name__}")


def run(*checks):
    for check in checks:
        began = time.monotonic()
        try:
            check()
        except Exception:
            print(f"failed: {check.__name__}", file=sys.stderr, flush=True)
            raise
        print(f"ok {check.__name__} {time.monotonic() - began:.1f} s", flush=True)
