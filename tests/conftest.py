"""Shared by all tests: the cache of public pictures beside the repository, where there is one."""

import os
from pathlib import Path

import pytest

SHARED_CACHE = Path(__file__).parents[1].parent / "shared" / "cache"
if SHARED_CACHE.is_dir():
    os.environ.setdefault("STYLETX_CACHE", str(SHARED_CACHE))


@pytest.fixture(scope="session")
def shared_cache() -> Path:
    """The folder of public pictures and weights; tests that need it are skipped where it is not."""
    if not SHARED_CACHE.is_dir():
        pytest.skip("../shared/cache, the public pictures and weights, is not beside this repository")
    return SHARED_CACHE
