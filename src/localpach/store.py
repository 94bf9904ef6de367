"""The place that 0.1 had for `localpach.storage.store`; goes with release 0.3."""

import warnings

from localpach.storage.store import *  # noqa: F403

warnings.warn("localpach.store is localpach.storage.store now", DeprecationWarning, stacklevel=2)
