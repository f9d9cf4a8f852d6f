"""Makes every ir.Context know our dialects, and registers the passes.

The bindings' own __init__ imports modules of this name.
"""

from ._tinytrain import register_dialects  # noqa: F401
