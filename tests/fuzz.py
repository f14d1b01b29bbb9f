"""How many times as many examples property-based tests try: 1, or what STYLETX_FUZZ says (each night, 20)."""

import os

FUZZ = int(os.environ.get("STYLETX_FUZZ", "1"))
