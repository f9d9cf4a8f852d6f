"""Op classes of the tinytrain dialect, generated from its ODS."""

from ._tinytrain_ops_gen import *  # noqa: F403
