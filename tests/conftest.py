"""Shared by all tests: the cache of public pictures beside the repository, where there is one; and no other cache."""

import os
from pathlib import Path

import platformdirs
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


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_users(tmp_path_factory):
    """What somebody has fetched before changes no test, and no test leaves anything there."""
    folder = tmp_path_factory.mktemp("user-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_dir", lambda name, **_: str(folder / name))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        yield
